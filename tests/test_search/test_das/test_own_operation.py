"""Operations that a user registers are like those of the table; what they must not do is refused with the reason."""

import copy
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from own_operations import forgotten_afterwards, write_module
from torch import Tensor, nn
from torch_limits import needs_second_derivatives

from mmdas.models.settings import decode
from mmdas.ops.affine import scale_matrix
from mmdas.registry import MODELS
from mmdas.search.das import (
    OPERATIONS,
    SPACES,
    DASCell,
    Policy,
    PolicyClip,
    PolicyEdge,
    PolicyError,
    build_space,
    register_operation,
)
from mmdas.search.das.operation_checks import check_operation

CLOSE = {'atol': 1e-12, 'rtol': 1e-9}
WARPS = ['identity', 'rotate', 'widen']


@pytest.fixture(autouse=True)
def own(tmp_path: Path) -> Iterator[None]:
    """The operations of the docs, vignette and widen, are registered."""
    with forgotten_afterwards():
        write_module(tmp_path)
        sys.path.insert(0, str(tmp_path))
        import my_operations  # noqa: F401

        yield


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 9, 7, dtype=torch.float64)


def register(function, name: str = 'own', **options):
    return register_operation(name, **{'low': 0.0, 'high': 0.2, 'unit': 'share', **options})(function)


def policy_of(*names: str) -> Policy:
    """A chain of operations in clips of four frames."""
    edges = [PolicyEdge(0 if node == 0 else node + 1, node + 2, name, 0.1) for node, name in enumerate(names)]
    return Policy(4, len(names), tuple(edges))


@pytest.mark.parametrize('name', SPACES['large'][1:])
def test_operations_of_the_table_keep_what_is_asked_of_ones_own(name: str) -> None:
    check_operation(OPERATIONS[name])


def test_registered_operation_is_known_by_its_name_and_not_part_of_a_named_space() -> None:
    assert [row.kind for row in build_space(['vignette', 'widen'])] == ['colour', 'warp']
    (narrow,) = build_space(['widen'], {'widen': (0, 0.05)})
    assert (narrow.low, narrow.high, narrow.unit) == (0, 0.05, 'relative width')
    assert not {'vignette', 'widen'} & set(SPACES['large'])


def test_function_is_left_as_it_is(images: Tensor) -> None:
    def function(images: Tensor, magnitude: Tensor) -> Tensor:
        return images * (1 - magnitude.abs()[:, None, None, None]).clamp(0, 1)

    assert register(function) is function


def test_colour_operation_acts_on_each_frame_by_its_distance(images: Tensor) -> None:
    frames = PolicyClip(policy_of('vignette')).double()(images).unflatten(1, (4, 3))
    function = OPERATIONS['vignette'].function
    for frame, distance in enumerate((-2, -1, 0, 1)):
        expected = function(images, torch.full((2,), 0.1 * distance, dtype=torch.float64))
        torch.testing.assert_close(frames[:, frame], expected, atol=1e-7, rtol=0)


def test_warp_moves_content_by_its_matrix() -> None:
    """Twice as wide: the pixel at x of the centre's right half comes from x / 2."""
    image = torch.arange(8.0).expand(1, 1, 4, 8)
    wide = OPERATIONS['widen'].function(image, torch.tensor([1.0]))
    expected = (torch.arange(8.0) - 3.5) / 2 + 3.5
    torch.testing.assert_close(wide, expected.expand(1, 1, 4, 8))


@needs_second_derivatives
@pytest.mark.parametrize('share', [True, False])
def test_warp_has_the_fast_form_of_a_cell_with_both_derivatives(images: Tensor, share: bool) -> None:
    cell = DASCell(3, space=WARPS, num_nodes=2, share_strength=share).double()
    torch.nn.init.normal_(cell.logits)
    images.requires_grad_()
    results = []
    for form in (cell, cell._loop):
        clip = form(images)
        first = torch.autograd.grad((clip.pow(3)).mean(), (cell.logits, images), create_graph=True)
        second = torch.autograd.grad(sum(value.pow(2).sum() for value in first), (cell.logits, images))
        results.append((clip, *first, *second))
    assert cell._operators._entries  # of the fast form
    torch.testing.assert_close(*results, **CLOSE)


def test_warps_of_a_policy_are_composed_and_its_operator_equals_its_samples(images: Tensor) -> None:
    clip = PolicyClip(policy_of('widen', 'rotate', 'widen')).double().train()
    assert clip.is_composed
    fast = clip(images)
    assert clip._operators._entries
    clip._operator = lambda *_: None
    torch.testing.assert_close(fast, clip(images), **CLOSE)


def test_registered_copy_of_a_warp_of_the_table_gives_its_clip_and_its_alignment(images: Tensor) -> None:
    register(scale_matrix, 'zoom', low=-0.3, high=0.3, kind='warp', growth='power')
    own, known = (PolicyClip(policy_of(name)).double() for name in ('zoom', 'scale'))
    assert torch.equal(own(images), known(images))
    maps = torch.rand(4, 2, 3, 9, 7, dtype=torch.float64)
    assert torch.equal(own.unwarp(maps, (9, 7), (9, 7)), known.unwarp(maps, (9, 7), (9, 7)))


def test_strength_of_an_own_operation_is_learned(images: Tensor) -> None:
    cell = DASCell(3, space=['vignette', 'widen'], num_nodes=1, strength='learned').double()
    cell(images).square().mean().backward()
    assert cell.strength_logits.grad.abs().min() > 0


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_of_a_cell_make_its_clips(images: Tensor, duplicate) -> None:
    cell = DASCell(3, space=['identity', 'vignette', 'widen'], num_nodes=1).double()
    assert torch.equal(duplicate(cell)(images), cell(images))


def test_policy_file_holds_the_name_and_numbers_alone(tmp_path: Path) -> None:
    policy_of('vignette', 'widen').save(tmp_path / 'policy.json')
    edges = json.loads((tmp_path / 'policy.json').read_text())['edges']
    assert [list(edge) for edge in edges] == [['source', 'target', 'operation', 'strength']] * 2
    assert [edge['operation'] for edge in edges] == ['vignette', 'widen']


@pytest.mark.parametrize('field', ['operations', 'edges'])
def test_policy_with_an_unknown_operation_names_it_and_the_remedy(field: str) -> None:
    data = policy_of('vignette').to_dict()
    if field == 'operations':
        data['operations'] = ['rotate', 'twist']
    else:
        data['edges'][0]['operation'] = 'twist'
    with pytest.raises(PolicyError, match="'twist'.*custom_imports of the config must name the module"):
        Policy.from_dict(data)


def test_random_operation_repeats_itself_in_evaluation_and_draws_anew_in_training(images: Tensor) -> None:
    def speckle(images: Tensor, magnitude: Tensor, generator: torch.Generator | None = None) -> Tensor:
        draws = torch.rand(images.shape, generator=generator, dtype=images.dtype)
        return (images * (1 - magnitude.abs().to(images.dtype)[:, None, None, None] * draws)).clamp(0, 1)

    register(speckle, random=True)
    clip = PolicyClip(policy_of('own')).double().eval()
    assert torch.equal(clip(images), clip(images))
    clip.train()
    assert not torch.equal(clip(images), clip(images))


def test_trying_a_function_leaves_the_random_numbers_of_the_process_alone() -> None:
    def speckle(images: Tensor, magnitude: Tensor, generator: torch.Generator | None = None) -> Tensor:
        draws = torch.rand(images.shape, generator=generator)
        return (images * (1 - magnitude.abs()[:, None, None, None] * draws)).clamp(0, 1)

    before = torch.get_rng_state()
    register(speckle, random=True)
    assert torch.equal(torch.get_rng_state(), before)


def swirl(images: Tensor, magnitude: Tensor) -> Tensor:
    """Stands for a warp that no matrix describes: the upper half moves."""
    share = magnitude[:, None, None, None].abs().clamp(max=1).to(images.dtype)
    upper, lower = images.chunk(2, dim=2)
    return torch.cat([(1 - share) * upper + share * upper.flip(3), lower], dim=2)


@pytest.mark.parametrize('make', [lambda: DASCell(4, space=['own', 'rotate']), lambda: PolicyClip(policy_of('own'))])
def test_clips_with_a_deformation_are_not_aligned(make) -> None:
    register(swirl, kind='deformation')
    module = make()
    assert module.grows_with_image
    with pytest.raises(PolicyError, match=r"pooling='aligned' undoes affine warps, but own .* pooling='mean'"):
        module.check_alignable()


# What is refused


def shade(magnitude: Tensor) -> Tensor:
    return magnitude.abs()[:, None, None, None]


def in_place(images: Tensor, magnitude: Tensor) -> Tensor:
    return images.mul_((1 - shade(magnitude)).clamp(min=0))


def in_place_magnitude(images: Tensor, magnitude: Tensor) -> Tensor:
    return images * (1 - magnitude.abs_()[:, None, None, None]).clamp(min=0)


def undeclared_draws(images: Tensor, magnitude: Tensor) -> Tensor:
    return (images * (1 - shade(magnitude) * torch.rand(images.shape))).clamp(0, 1)


def ignored_generator(images: Tensor, magnitude: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return undeclared_draws(images, magnitude)


FUNCTIONS = {
    'one argument': (lambda images: images, r'it must take \(images, magnitude\), but .*too many'),
    'no generator': (lambda images, magnitude: images, r'it must take \(images, magnitude, generator=None\), but'),
    'not an identity': (lambda images, magnitude: images * 0.9, 'magnitudes 0 and 0, no strength, is not the image'),
    'flat': (lambda images, magnitude: images.flatten(1), r'\(2, 2304\), expected a tensor of shape \(2, 3, 24, 32\)'),
    'nothing': (lambda images, magnitude: None, 'NoneType, expected a tensor'),
    'fails': (lambda images, magnitude: images @ images, 'fails at magnitudes 0 and 0: RuntimeError'),
    'root of a negative': (
        lambda images, magnitude: images * (1 - magnitude[:, None, None, None].sqrt()).clamp(min=0),
        'magnitudes -0.2 and 0.4 holds values that are no finite',
    ),
    'leaves the range': (
        lambda images, magnitude: images + magnitude[:, None, None, None],
        r'expected colours in \[0, 1\]; end with .clamp\(0, 1\)',
    ),
    'of the batch': (
        lambda images, magnitude: images * (1 - shade(magnitude).mean(dim=0, keepdim=True)).clamp(min=0),
        'depends on the other images of the batch',
    ),
    'in place': (in_place, r'changes its arguments in place; write images \* 2'),
    'magnitude in place': (in_place_magnitude, 'changes its arguments in place'),
    'undeclared draws': (undeclared_draws, 'differs from call to call; say random=True'),
    'own draws': (ignored_generator, 'does not follow its generator'),
    'without gradient': (
        lambda images, magnitude: (images * (1 - shade(magnitude)).clamp(min=0)).detach(),
        r'no gradient in the images.*images \+ \(changed - images\).detach\(\)',
    ),
}


@pytest.mark.parametrize('case', FUNCTIONS)
def test_function_that_breaks_a_rule_is_refused_with_it(case: str) -> None:
    function, message = FUNCTIONS[case]
    with pytest.raises(ValueError, match=rf"operation 'own' \(.*\): .*{message}"):
        register(function, random=case in ('no generator', 'own draws'))
    assert 'own' not in OPERATIONS


def eye(magnitude: Tensor) -> Tensor:
    return torch.eye(2, 3, dtype=magnitude.dtype).expand(len(magnitude), 2, 3)


MATRICES = {
    'of images': (lambda images: images, r'it must take \(magnitude, size\), but'),
    'of corners': (lambda magnitude, size: eye(magnitude)[:, :, :2], r'\(2, 2, 2\), expected .* \(2, 2, 3\)'),
    'not an identity': (lambda magnitude, size: 2 * eye(magnitude), 'no strength, is not the identity'),
    'single precision': (lambda magnitude, size: eye(magnitude.float()), 'is torch.float32, expected'),
    'a line': (lambda magnitude, size: eye(magnitude) * (1 - magnitude.abs()).clamp(min=0)[:, None, None], 'a line'),
    'of the batch': (
        lambda magnitude, size: eye(magnitude) * (1 + magnitude.abs().mean()),
        'depends on the other magnitudes of the batch',
    ),
}


@pytest.mark.parametrize('case', MATRICES)
def test_matrix_that_breaks_a_rule_is_refused_with_it(case: str) -> None:
    function, message = MATRICES[case]
    with pytest.raises(ValueError, match=rf"operation 'own' \(.*\): .*{message}"):
        register(function, kind='warp', low=-0.3, high=0.3)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'name': 'two words'}, 'must be a word such as "vignette", got \'two words\''),
        ({'kind': 'shape'}, "kind of operation 'own' must be one of .*'deformation'.*, got 'shape'"),
        ({'growth': 'fast'}, "growth must be one of .*'power'.*, got 'fast'"),
        ({'growth': 'power', 'low': -1.0}, "low must be more than -1 with growth='power', got -1.0"),
        ({'high': float('inf')}, 'finite with low <= high and not both 0, got 0.0 and inf'),
        ({'low': 0.5}, 'low <= high.*, got 0.5 and 0.2'),
        ({'high': 0}, 'not both 0, got 0.0 and 0'),
        ({'low': '0'}, "must be finite.*, got '0' and 0.2"),
        ({'unit': ''}, 'unit must be a text, such as "degree", got \'\''),
        ({'kind': 'warp', 'random': True}, 'the matrix of a warp knows no pixels'),
    ],
)
def test_unusable_option_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register(swirl, **options)


@pytest.mark.parametrize('name', ['rotate', 'vignette'])
def test_name_that_is_taken_is_refused_with_its_owner(name: str) -> None:
    owner = {'rotate': 'mmdas.ops.affine.rotate_matrix', 'vignette': 'my_operations.vignette'}[name]
    before = OPERATIONS[name]
    with pytest.raises(ValueError, match=f"'{name}' is taken by the operation of {owner}; choose another name"):
        register(swirl, name)
    assert OPERATIONS[name] is before


def test_module_that_runs_again_registers_the_same_operation_again() -> None:
    register(swirl, high=0.2)
    register(swirl, high=0.3)
    assert OPERATIONS['own'].high == 0.3


# operations that are networks


class Tint(nn.Module):
    """Blends in what a small network makes of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, images: Tensor, magnitude: Tensor) -> Tensor:
        share = magnitude.to(images).abs().clamp(max=1)[:, None, None, None]
        return images + share * (self.drop(self.mix(images)).sigmoid() - images)


@pytest.fixture
def tint() -> Tint:
    return register(Tint(), 'tint')


@pytest.mark.parametrize('make', [lambda: DASCell(4, ['identity', 'tint']), lambda: PolicyClip(policy_of('tint'))])
def test_the_weights_of_an_operation_are_those_of_each_model_alone(tint, make):
    first, second, images = make().eval(), make().eval(), torch.rand(2, 3, 6, 5)
    before = first(images)
    assert torch.equal(second(images), before)
    with torch.no_grad():
        second.operation_weights.of_tint.mix.weight.add_(1.0)
    assert torch.equal(first(images), before)
    changed = second(images)
    assert not torch.allclose(changed, before)
    first.load_state_dict(second.state_dict())
    assert torch.equal(first(images), changed)
    assert torch.equal(copy.deepcopy(first)(images), changed)
    assert torch.equal(make().eval()(images), before)  # the table's is as it was
    assert first.double()(images.double()).dtype == torch.float64  # its weights have moved with it


@pytest.mark.parametrize('num_strengths', [1, 3])
def test_the_weights_of_an_operation_are_fixed_and_it_stays_in_evaluation_mode(tint, num_strengths):
    cell = DASCell(4, ['identity', 'tint'], num_strengths=num_strengths).train()
    images = torch.rand(2, 3, 6, 5, requires_grad=True)
    clip = cell(images)
    assert torch.equal(cell(images), clip)  # no dropout
    clip.square().sum().backward()
    assert images.grad.abs().sum() > 0
    trained = [name for name, parameter in cell.named_parameters() if parameter.grad is not None]
    assert trained == ['logits']
    assert [name for name in cell.state_dict() if 'mix.weight' in name] == ['operation_weights.of_tint.mix.weight']


def test_a_network_is_tried_as_models_have_it_and_stays_as_it_is():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))  # whose training mode mixes the images of a batch
    tint = Tint()
    tint.mix = network
    before = copy.deepcopy(tint.state_dict())
    assert register(tint, 'tint').training
    assert all(torch.equal(value, before[key]) for key, value in tint.state_dict().items())
    assert all(parameter.requires_grad for parameter in tint.parameters())


@pytest.mark.parametrize('move', [lambda model: model.double(), lambda model: model.to('meta')])
def test_a_record_tells_what_a_network_does_wherever_it_has_moved(tint, move):
    model = MODELS.build(dict(type='mmdas.DASClsDataPreprocessor', num_frames=4, policy=policy_of('tint').to_dict()))
    key, before = '_extra_state', model.state_dict()
    assert torch.equal(move(model).state_dict()[key], before[key])
    assert 'own_operations' in decode(before[key])


def test_a_network_of_matrices_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"'tint': a network \(Tint\) cannot give the matrix.*kind='deformation'"):
        register(Tint(), 'tint', kind='warp')


def test_a_policy_has_the_clip_of_the_cell_that_chose_a_network(tint):
    cell = DASCell(4, ['tint'], num_nodes=1).eval()
    for edge in range(len(cell.edges)):
        cell.choose(edge, 0)
    images = torch.rand(2, 3, 6, 5)
    torch.testing.assert_close(PolicyClip(cell.to_policy()).eval()(images), cell(images))
