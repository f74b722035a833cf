"""Numbers of augments that are none, or out of range, are told with the option and its owner."""

from typing import Any

import pytest

from mmdas.augment import AugmentChain, AugmentError, HideAndSeek
from mmdas.registry import AUGMENTS
from mmdas.search import PolicyError

SHARES = ('KeepCutout.quantile', 'KeepCutMix.probability', 'CutMix.probability', 'Mixup.probability')
SHARES += ('PuzzleMix.probability', 'SegCutMix.probability', 'HideAndSeek.probability')
POSITIVE = ('CutMix.alpha', 'Mixup.alpha', 'PuzzleMix.alpha', 'SegCutMix.beta', 'KeepCutMix.beta', 'KeepCutout.size')
POSITIVE += ('KeepCutout.aspect',)
WRONG = ('0.5', None, True, float('nan'), float('inf'), -1)
LISTS = {'shares': (0.1, [], ['x'], [2.0]), 'sizes': (4, [], [4.5], [-1]), 'fill': ('mean', [], [None], None)}
CASES = [(place, value) for place in SHARES + POSITIVE for value in WRONG]
CASES += [(f'HideAndSeek.{option}', value) for option, values in LISTS.items() for value in values]
CASES += [('PuzzleMix.blocks', value) for value in (2, [], [1], ['x'])]
CASES += [('PuzzleMix.levels', '3'), ('PuzzleMix.prior', None), ('PuzzleMix.resolution', 'low')]
CASES += [('CutMix.num_classes', value) for value in (0, 2.5, '10')]


@pytest.mark.parametrize(('place', 'value'), CASES)
def test_a_wrong_number_is_told_with_its_option(place: str, value: Any):
    owner, _, option = place.partition('.')
    with pytest.raises(ValueError, match=f'{option} of {owner} must be .*got'):
        AUGMENTS.build({'type': f'mmdas.{owner}', option: value})


@pytest.mark.parametrize('kind', ['CutMix', 'Mixup', 'PuzzleMix', 'SegCutMix'])
def test_a_region_is_not_pasted_back_into_mixed_images(kind: str):
    with pytest.raises(ValueError, match=f'policy of KeepPaste is a {kind}, expected an augmentation that is fixed'):
        AUGMENTS.build({'type': 'mmdas.KeepPaste', 'policy': {'type': f'mmdas.{kind}'}})


@pytest.mark.parametrize(
    ('step', 'message'),
    [
        ({'type': 'mmdas.SegCutMix', 'beta': 'x'}, 'beta of SegCutMix must be above 0'),
        ({'type': 'mmdas.SegCutMix', 'betta': 1}, "unexpected keyword argument 'betta'"),
        ({'type': 'mmdas.SegCutMx'}, 'there is no type mmdas.SegCutMx; did you mean mmdas.SegCutMix[?]'),
        ({'type': 'mmdas.KeepPaste', 'policy': {'type': 'mmdas.Absent'}}, 'mmdas.Absent is not in the'),
        ({'beta': 1.0}, 'type'),
    ],
)
def test_a_step_that_cannot_be_built_is_told_with_its_place(step: dict, message: str):
    with pytest.raises(AugmentError, match=rf'^data_preprocessor\.augments\[1\]: .*{message}'):
        AugmentChain([HideAndSeek(), step])


def test_a_policy_that_is_none_keeps_its_kind_of_error():
    with pytest.raises(PolicyError, match='schema_version'):
        AugmentChain([{'type': 'mmdas.PolicyAugment', 'policy': {'sub_policies': []}}])
