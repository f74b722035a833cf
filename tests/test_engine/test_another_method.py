"""A second method, with parameters and a policy of its own: the loop, the constructor and the hooks take it unchanged.

One operation on single images, applied with a probability and a magnitude, as the operations of DDAS; no cell, no
frames and no selection.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmpretrain.models import ClsDataPreprocessor
from torch import Tensor, nn
from toy_search import cls_model, differences, epoch_search, final_state, read_log, run

from mmdas.engine.hooks.keep_policy_hook import holds
from mmdas.search import Searchable, load_policy, register_policy
from mmdas.search.das import Policy


@register_policy('brightness')
@dataclass(frozen=True)
class BrightnessPolicy:
    probability: float
    magnitude: float
    origin: dict = field(default_factory=dict)
    kind: str = 'brightness'

    def save(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, data: dict, where: str) -> 'BrightnessPolicy':
        return cls(**data)


class Brightness(Searchable):
    """Brightens images with a probability, whose gradient is that of the relaxed draw, by a magnitude."""

    def __init__(self) -> None:
        super().__init__()
        self.chance, self.magnitude = nn.Parameter(torch.zeros(())), nn.Parameter(torch.tensor(0.1))
        self.contrast = nn.Parameter(torch.ones(()))  # a weight of the network, not of the policy

    def policy_parameters(self) -> list[nn.Parameter]:
        return [self.chance, self.magnitude]

    def forward(self, images: Tensor) -> Tensor:
        noise = torch.rand(len(images), 1, 1, 1).logit(eps=1e-4)
        return self.contrast * images + torch.sigmoid(self.chance + noise) * self.magnitude

    def report(self) -> dict[str, float]:
        return {'probability': torch.sigmoid(self.chance).item(), 'magnitude': self.magnitude.item()}

    def to_policy(self, origin: dict | None = None) -> BrightnessPolicy:
        return BrightnessPolicy(**self.report(), origin=dict(origin or {}))


@MODELS.register_module()
class BrighteningPreprocessor(ClsDataPreprocessor):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.brightness = Brightness()

    def forward(self, data: dict, training: bool = False) -> dict:
        data = super().forward(data, training)
        changed = training and self.brightness is not None
        return {**data, 'inputs': self.brightness(data['inputs'])} if changed else data


STEPS = {
    'AlternatingStep': None,  # the default
    'LookAheadStep': dict(type='mmdas.LookAheadStep'),
    'AdversarialStep': dict(type='mmdas.AdversarialStep', critic=dict(type='mmdas.LinearCritic', channels=8)),
}


def search(work_dir: Path, step: str) -> Config:
    """2 epochs of weights, 2 of both; three iterations each."""
    plain = cls_model()
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(
            type='mmengine.BrighteningPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, num_classes=2
        ),
        backbone=plain['backbone']['backbone'],
        neck=plain['neck'],
        head=plain['head']['head'],
    )
    config = epoch_search(
        work_dir,
        train_cfg=dict(max_epochs=4, warmup_epochs=2, selection=None, step=STEPS[step]),
        model=model,
    )
    config.default_hooks.checkpoint.by_epoch = False
    return config


@pytest.fixture(scope='module', params=STEPS)
def searched(request, tmp_path_factory) -> tuple[str, Runner]:
    return request.param, run(search(tmp_path_factory.mktemp('whole'), request.param))


def test_its_policy_is_written_and_loaded_by_its_kind(searched):
    step, runner = searched
    policy = load_policy(Path(runner.work_dir, 'policy.json'))
    assert isinstance(policy, BrightnessPolicy)
    brightness = runner.model.data_preprocessor.brightness
    assert policy.magnitude == brightness.magnitude.item() != 0.1
    assert policy.origin['step'] == step
    assert policy.origin['selection'] is None
    assert policy.origin['search_cost']['wall_seconds'] > 0
    assert list(Path(runner.work_dir).glob('policy*')) == [Path(runner.work_dir, 'policy.json')]  # without pictures


def test_the_policy_is_what_its_own_optimiser_steps(searched):
    wrappers, brightness = searched[1].optim_wrapper, searched[1].model.data_preprocessor.brightness
    weights, policy = (
        {id(parameter) for group in wrappers[name].optimizer.param_groups for parameter in group['params']}
        for name in ('weights', 'policy')
    )
    assert policy == {id(brightness.chance), id(brightness.magnitude)}
    assert id(brightness.contrast) in weights
    assert not weights & policy


def test_its_numbers_reach_the_log_and_nothing_of_cells_does(searched):
    lines = Path(searched[1].log_dir, 'vis_data/scalars.json').read_text().splitlines()
    curves = [json.loads(line) for line in lines if 'policy/' in line]
    assert [set(line) for line in curves] == [{'policy/probability', 'policy/magnitude', 'step'}] * 12
    assert [line['policy/magnitude'] for line in curves[:6]] == [pytest.approx(0.1)] * 6  # the warm-up
    assert 'Search phase: policy' in read_log(searched[1])
    assert searched[1].message_hub.get_info('eta') == 0


@pytest.mark.parametrize('iteration', [5, 8])
@pytest.mark.slow
def test_after_a_kill_it_goes_on_to_the_same_end(searched, tmp_path, iteration):
    step, whole = searched
    config = search(tmp_path / 'first', step)
    config.custom_hooks.append(dict(type='Interrupt', iteration=iteration))
    with pytest.raises(KeyboardInterrupt):
        run(config)
    resumed = run(search(tmp_path / 'second', step), resume=tmp_path / f'first/iter_{iteration}.pth')
    assert differences(final_state(whole), final_state(resumed)) == []


def test_two_methods_in_a_model_are_refused(tmp_path):
    config = search(tmp_path, 'AlternatingStep')
    config.model.data_preprocessor.type = 'mmengine.TwicePreprocessor'
    with pytest.raises(ValueError, match='has 2 to search: Brightness, Brightness; leave one'):
        run(config)


def test_selection_of_a_cell_is_refused_before_the_first_step(tmp_path):
    config = search(tmp_path, 'AlternatingStep')
    config.train_cfg.selection = dict(type='mmdas.ArgmaxSelection')
    with pytest.raises(
        ValueError, match='selection is ArgmaxSelection, .* of a DASCell, .* searches a Brightness; set'
    ):
        run(config)
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('inline', [True, False])
def test_its_policy_is_no_policy_of_a_clip_and_the_message_says_who_reads_it(tmp_path, inline):
    policy = BrightnessPolicy(0.5, 0.1)
    policy.save(tmp_path / 'policy.json')
    options = cls_model()['data_preprocessor']
    options = {**options, 'cell': None, 'policy': asdict(policy) if inline else str(tmp_path / 'policy.json')}
    message = "policy(.json)?: kind is 'brightness', which BrightnessPolicy reads; here 'das' is expected"
    with pytest.raises(ValueError, match=message):
        MODELS.build(options)


def test_policy_that_it_left_in_a_work_directory_is_set_aside_by_a_training_with_frames(tmp_path):
    BrightnessPolicy(0.5, 0.1).save(tmp_path / 'policy.json')
    assert not holds(tmp_path / 'policy.json', Policy.random(3))


@MODELS.register_module()
class TwicePreprocessor(BrighteningPreprocessor):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.again = Brightness()
