"""The grid of the tokens of a transformer."""

import itertools

import pytest
import torch

from mmdas.models.backbones.token_grid import TokenGrid, grid_in, grid_of_squares


def test_squares_of_every_side_are_found_from_their_number():
    for height, width, side in itertools.product(range(8, 40, 3), range(8, 40, 5), range(1, 9)):
        grid = height // side, width // side
        assert grid_of_squares((height, width), grid[0] * grid[1]) == grid


def test_numbers_that_no_squares_give_are_refused():
    possible = {(12 // side) * (20 // side) for side in range(1, 13)}
    found = {count for count in range(1, 241) if grid_of_squares((12, 20), count)}
    assert found == possible


@pytest.mark.parametrize(
    ('values', 'grid'),
    [
        ((torch.zeros(1, 6, 4), (2, 3)), (2, 3)),
        ((torch.zeros(1, 6, 4), [2, 3], 7), (2, 3)),
        ((torch.zeros(1, 6, 4), torch.Size([2, 3])), (2, 3)),
        ((torch.zeros(1, 6, 4), (torch.tensor(2), torch.tensor(3))), (2, 3)),  # as tracing has it
        ((torch.zeros(1, 6, 4), 2, 3), None),
        ((torch.zeros(1), (2, 3, 4)), None),
        ((torch.zeros(1), (2.0, 3.0)), None),
        (torch.zeros(2, 2), None),
        (None, None),
    ],
)
def test_pair_of_sizes_is_found_in_what_a_module_takes_or_returns(values, grid):
    assert grid_in(values) == grid


def test_a_block_tells_more_than_the_embedding_and_that_more_than_the_image():
    grid = TokenGrid()
    grid.start(torch.zeros(2, 3, 16, 32))
    assert grid.of(33, None, 'x') == (4, 8)
    grid.embedded = (2, 16)
    assert grid.of(33, None, 'x') == (2, 16)
    assert grid.of(33, (8, 4), 'x') == (8, 4)
    assert grid.of(8, None, 'x') == (2, 4)  # of a later stage, which the embedding does not know
    grid.start(torch.zeros(2, 3, 16, 32))
    assert grid.of(33, None, 'x') == (4, 8)


def test_a_grid_much_smaller_than_the_tokens_is_not_theirs():
    grid = TokenGrid()
    grid.start(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match='no grid is known for the 30 tokens at x'):
        grid.of(30, (4, 4), 'x')
