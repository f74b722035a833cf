"""A checkpoint has to hold what a prediction needs, and may hold more."""

from collections import OrderedDict

import pytest
from torch import nn

from mmdas.engine.checkpoints.own_weights import require_weights
from mmdas.models.settings import DifferenceError


def network(width: int = 4, **more: nn.Module) -> nn.Module:
    parts = OrderedDict(backbone=nn.Linear(3, width), head=nn.Linear(width, 2), **more)
    return nn.Sequential(parts)


def test_weights_of_the_model_and_more_are_taken():
    state = network(neck=nn.Linear(4, 4)).state_dict()
    require_weights(network(), {'state_dict': state}, 'x.pth')
    require_weights(network(), {f'module.{key}': value for key, value in state.items()}, 'x.pth')


@pytest.mark.parametrize('part', ['auxiliary_head', 'fusion', 'temporal_pooling'])
def test_parts_that_a_plain_model_lacks_are_no_difference(part: str):
    require_weights(network(**{part: nn.Linear(2, 2)}), network().state_dict(), 'x.pth')


def test_missing_and_other_weights_are_named():
    with pytest.raises(
        DifferenceError, match=r'x\.pth is a checkpoint of another model: it has no neck\.weight, and 1'
    ):
        require_weights(network(neck=nn.Linear(4, 4)), network().state_dict(), 'x.pth')
    with pytest.raises(DifferenceError, match=r'its backbone\.weight is \(5, 3\), that of the model \(4, 3\)'):
        require_weights(network(), network(5).state_dict(), 'x.pth')


class Renamed(nn.Module):
    """Takes weights under an earlier name, as models of the toolboxes do."""

    def __init__(self) -> None:
        super().__init__()
        self.new = nn.Linear(2, 2)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *others) -> None:
        for key in [key for key in state_dict if key.startswith(f'{prefix}old.')]:
            state_dict[key.replace('old.', 'new.')] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *others)


def test_names_that_the_model_knew_earlier_are_its_own():
    model = Renamed()
    state = {key.replace('new.', 'old.'): value for key, value in model.state_dict().items()}
    require_weights(model, state, 'x.pth')
