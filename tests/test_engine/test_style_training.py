"""Trainings with random styles, of both toolboxes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_search import differences, run
from toy_training import state, training

from mmdas.engine.checkpoints import newest_checkpoint


@pytest.fixture
def styles(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    (tmp_path / 'styles').mkdir()
    for number in range(4):
        pixels = rng.integers(0, 256, 3) + rng.normal(0, 30, (16, 16, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / 'styles' / f'{number}.png')
    return str(tmp_path / 'styles')


def styled(work_dir: Path, by_epoch: bool, styles: str, *hooks: dict, **step):
    cfg = training(work_dir, by_epoch, 0, *hooks)
    step = dict(type='mmdas.StyleAugment', styles=styles, **step)
    cfg.model.data_preprocessor.update(channel_order='rgb', augments=[step])
    return cfg


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.slow
def test_resumed_training_with_styles_equals_an_uninterrupted_one(tmp_path: Path, by_epoch: bool, styles: str):
    whole = state(run(styled(tmp_path / 'whole', by_epoch, styles)))
    with pytest.raises(ConnectionError):
        run(styled(tmp_path / 'parts', by_epoch, styles, dict(type='mmdas.InterruptHook', after=8)))
    checkpoint = newest_checkpoint(tmp_path / 'parts')[0]
    resumed = state(run(styled(tmp_path / 'parts', by_epoch, styles), resume=checkpoint))
    assert differences(resumed, whole) == []


def test_styles_change_what_is_learned_and_not_what_is_saved(tmp_path: Path, styles: str):
    with_styles = state(run(styled(tmp_path / 'with', True, styles, probability=1.0)))
    without = state(run(styled(tmp_path / 'without', True, styles, probability=0.0)))
    assert with_styles['state_dict'].keys() == without['state_dict'].keys()
    assert not any('encoder' in name or 'styl' in name for name in with_styles['state_dict'])
    assert differences(with_styles['state_dict'], without['state_dict']) != []
