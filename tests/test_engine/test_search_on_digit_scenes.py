"""A short search on DigitScenes with the config of the demo: what it finds is better than what chance finds."""

import statistics
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from tool_scripts import load_script
from torch.utils.data import DataLoader

from mmdas.apis import build_runner, load_config
from mmdas.registry import MODELS
from mmdas.search.das import Policy, PolicyClip

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SIZE = 32
OPTIONS = {
    'model.data_preprocessor.size': (SIZE, SIZE),
    'model.backbone.backbone.base_channels': 8,
    'model.backbone.backbone.stem_channels': 8,
    'model.decode_head.head.in_channels': 32,
    'model.decode_head.head.channels': 32,
    'train_dataloader.batch_size': 8,
    'model.data_preprocessor.cell.ranges': None,  # the authors' wide ones: a bad policy hurts
    'train_cfg.max_iters': 200,
    'train_cfg.warmup_iters': 150,
    'train_cfg.selection.num_batches': 4,
    'train_cfg.selection.tune': 0,
    'param_scheduler.weights.0.T_max': 200,
    'param_scheduler.weights.0.end': 200,
    'default_hooks.checkpoint.interval': 1000,
    'val_cfg': None,
    'val_dataloader': None,
    'val_evaluator': None,
}


def make_scenes(out_dir: Path) -> None:
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(
        out_dir, num_train=128, num_val=1, size=SIZE, max_digits=1
    )


@pytest.fixture(scope='module')
def searched(tmp_path_factory) -> Runner:
    folder = tmp_path_factory.mktemp('search')
    make_scenes(folder / 'data')
    (config,) = (ROOT / 'configs' / 'digit_scenes').glob('search-4f-*.py')
    data_roots = {
        'train_dataloader.dataset.dataset.data_root': str(folder / 'data'),
    }
    runner = build_runner(load_config(config, str(folder / 'run'), {**OPTIONS, **data_roots}))
    runner.train()
    return runner


@torch.no_grad()
def held_out_loss(runner: Runner) -> float:
    """Loss of the model as it stands on the whole policy part."""
    model, losses = runner.model.eval(), []
    batches = runner.train_loop.policy_batches.dataloader
    for batch in DataLoader(batches.dataset, batch_size=16, collate_fn=batches.collate_fn):
        losses.append(model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))[0].item())
    return statistics.fmean(losses)


@pytest.fixture
def loss_of_policy(searched):
    """Held-out loss of a policy under the searched weights."""
    preprocessor = searched.model.data_preprocessor
    cell = preprocessor.cell

    def evaluate(policy: Policy) -> float:
        preprocessor.cell, preprocessor.policy = None, PolicyClip(policy)
        preprocessor.policy.reference_size = cell.reference_size
        return held_out_loss(searched)

    yield evaluate
    preprocessor.cell, preprocessor.policy = cell, None


@pytest.mark.slow
def test_trained_logits_lower_the_held_out_loss(searched):
    cell = searched.model.data_preprocessor.cell
    chosen, kept, trained = cell.chosen.clone(), cell.kept.clone(), cell.logits.detach().clone()
    start = MODELS.build({**searched.cfg.model.data_preprocessor.cell, 'num_frames': 4}).logits
    with torch.no_grad():
        cell.chosen.fill_(-1)
        cell.kept.fill_(True)
        after = held_out_loss(searched)
        cell.logits.copy_(start)
        before = held_out_loss(searched)
        cell.logits.copy_(trained)
        cell.chosen.copy_(chosen)
        cell.kept.copy_(kept)
    assert after < before


def test_searched_policy_beats_seven_of_eight_random_policies(searched, loss_of_policy):
    policy = Policy.load(Path(searched.work_dir) / 'policy.json')
    ranges = searched.cfg.model.data_preprocessor.cell.ranges
    random = [loss_of_policy(Policy.random(4, 'paper', ranges=ranges, seed=seed)) for seed in range(8)]
    searched_loss = loss_of_policy(policy)
    assert sum(searched_loss < loss for loss in random) >= 7
