"""MMPretrain's SwitchRecipeHook, which exchanges pipeline, batch augments and loss in the middle of a training."""

from pathlib import Path

import pytest
from mmengine.config import Config
from toy_search import differences, run
from toy_training import state, training

from mmdas.engine.checkpoints import newest_checkpoint

AUGMENTS = dict(augments=[dict(type='Mixup', alpha=0.8)])
SWITCH = dict(
    action_epoch=2,
    train_pipeline=[dict(type='PackInputs')],
    batch_augments=None,
    loss=dict(type='LabelSmoothLoss', label_smooth_val=0.3, mode='original'),
)


def config(folder: Path, workers: int, *hooks: dict, **recipe) -> Config:
    """Three epochs; the recipe changes before the second."""
    switch = dict(type='SwitchRecipeHook', schedule=[{**SWITCH, **recipe}])
    cfg = training(folder, True, workers, switch, *hooks)
    cfg.model.data_preprocessor.update(batch_augments=AUGMENTS, num_classes=2)
    cfg.model.head.head.update(cal_acc=False)
    return cfg


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
def test_each_part_of_a_recipe_takes_effect_and_a_resumed_training_goes_on_with_it(tmp_path, workers):
    whole = run(config(tmp_path / 'whole', workers))
    assert whole.model.data_preprocessor.batch_augments is None
    assert type(whole.model.head.loss_module).__name__ == 'LabelSmoothLoss'
    steps = whole.train_dataloader.dataset.dataset.pipeline.transforms
    assert [type(step).__name__ for step in steps] == ['PackInputs']

    with pytest.raises(ConnectionError):
        run(config(tmp_path / 'part', workers, dict(type='mmdas.InterruptHook', after=9)))
    checkpoint, content = newest_checkpoint(tmp_path / 'part')
    assert content['meta']['epoch'] == 2
    resumed = run(config(tmp_path / 'part', workers), resume=checkpoint)
    assert differences(state(resumed), state(whole)) == []


def test_exchanged_pipeline_changes_the_training(tmp_path):
    flipped = [dict(type='RandomFlip', prob=0.5), dict(type='PackInputs')]
    same, other = (
        state(run(config(tmp_path / name, 0, train_pipeline=steps)))
        for name, steps in (('same', flipped), ('other', SWITCH['train_pipeline']))
    )
    assert differences(same, other) != []
