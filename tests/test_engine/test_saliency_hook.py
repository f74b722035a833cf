"""Pictures of saliency in a real training, which stays what it is."""

from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from toy_training import state, training

from mmdas.analysis import AnalysisError
from mmdas.apis import build_runner
from mmdas.engine import SaliencyHook

HOOK = dict(type='mmdas.SaliencyHook', interval=4, images=3, samples=2)


@pytest.fixture(autouse=True)
def short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner lays its config out four times for logs, which takes longer than the training."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: str(cfg.to_dict())))


def trained(folder: Path, by_epoch: bool, *hooks: dict):
    runner = build_runner(training(folder, by_epoch, 0, *hooks))
    runner.train()
    return runner


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.slow
def test_training_with_pictures_is_the_training_without(by_epoch: bool, tmp_path: Path):
    plain, shown = (trained(tmp_path / name, by_epoch, *hooks) for name, hooks in (('plain', ()), ('shown', (HOOK,))))
    one, other = state(plain), state(shown)
    assert one['state_dict'].keys() == other['state_dict'].keys()
    for part in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(value, other[part][key]) for key, value in one[part].items() if torch.is_tensor(value))
    assert torch.equal(one['random_states'][0]['torch'], other['random_states'][0]['torch'])
    names = sorted(int(path.stem.removeprefix('iter_')) for path in (tmp_path / 'shown' / 'saliency').iterdir())
    last = shown.max_iters
    assert names == sorted({*range(4, last + 1, 4), last})
    picture = cv2.imread(str(tmp_path / 'shown' / 'saliency' / f'iter_{last}.png'))
    assert picture.std() > 20


def test_unusable_options_and_trainings_are_told(tmp_path: Path):
    with pytest.raises(ValueError, match='interval is 0'):
        SaliencyHook(interval=0)
    cfg = training(tmp_path, False, 0, HOOK)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg[key] = None
    cfg.train_cfg.pop('val_interval')
    with pytest.raises(AnalysisError, match='has no val_dataloader'):
        build_runner(cfg).train()
