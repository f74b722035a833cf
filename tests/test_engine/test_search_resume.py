from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from toy_search import differences, epoch_search, final_state, iter_search, loader, read_log, run, selection_config

from mmdas.apis import set_resume

# Every search has 2 units of the weights phase, 2 of the policy phase and then 6 decisions, each with its tuning.
VALIDATION = dict(
    val_cfg={},
    val_evaluator=dict(type='IoUMetric'),
    val_dataloader=loader('PackSegInputs', shuffle=False, batch_size=1, dataset=dict(count=2)),
)


@HOOKS.register_module()
class Interrupt(Hook):
    """Ends a run as Ctrl+C does."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        if runner.iter == self.iteration:
            raise KeyboardInterrupt


def by_iterations(work_dir: Path, workers: int = 0, **options) -> Config:
    """Checkpoints at every iteration; a validation after every fourth."""
    loading = dict(num_workers=workers)
    search = dict(max_iters=4, warmup_iters=2, val_interval=4, selection=selection_config(tune=2))
    return iter_search(
        work_dir,
        train_dataloader=loader('PackSegInputs', sampler='InfiniteSampler', **loading),
        policy_loader=loader('PackSegInputs', dataset=dict(seed=1), **loading),
        train_cfg=search,
        **{**VALIDATION, **options},
    )


def by_epochs(work_dir: Path, **options) -> Config:
    return epoch_search(work_dir, train_cfg=dict(max_epochs=4, warmup_epochs=2), **options)


def checkpoint_every_iteration(config: Config) -> Config:
    config.default_hooks.checkpoint.by_epoch = False
    return config


@pytest.fixture(scope='module')
def iteration_run(tmp_path_factory) -> Runner:
    return run(by_iterations(tmp_path_factory.mktemp('iterations')))


@pytest.fixture(scope='module')
def epoch_run(tmp_path_factory) -> Runner:
    return run(by_epochs(tmp_path_factory.mktemp('epochs')))


def check_resumed(whole: Runner, config: Config, checkpoint: str) -> None:
    resumed = run(config, resume=Path(whole.work_dir, checkpoint))
    assert differences(final_state(whole), final_state(resumed)) == []


@pytest.mark.parametrize(
    ('iteration', 'phase'),
    [(1, 'weights'), (3, 'policy'), (4, 'selection'), (9, 'tuning')],
)
def test_iterations_resumed_in_any_phase_end_as_the_uninterrupted_search(iteration_run, tmp_path, iteration, phase):
    assert iteration_run.train_loop.schedule.round_at(iteration).phase == phase
    check_resumed(iteration_run, by_iterations(tmp_path), f'iter_{iteration}.pth')


@pytest.mark.parametrize(
    ('epoch', 'phase'),
    [(1, 'weights'), (3, 'policy'), (6, 'selection'), (7, 'tuning')],
)
def test_epochs_resumed_in_any_phase_end_as_the_uninterrupted_search(epoch_run, tmp_path, epoch, phase):
    assert epoch_run.train_loop.schedule.rounds[epoch].phase == phase
    check_resumed(epoch_run, by_epochs(tmp_path), f'epoch_{epoch}.pth')


@pytest.mark.parametrize('iteration', [8, 14])
def test_a_search_by_epochs_goes_on_within_an_epoch(epoch_run, tmp_path, iteration):
    config = checkpoint_every_iteration(
        by_epochs(tmp_path / 'first', custom_hooks=[dict(type='Interrupt', iteration=iteration)])
    )
    with pytest.raises(KeyboardInterrupt):
        run(config)
    resumed = run(by_epochs(tmp_path / 'second'), resume=tmp_path / f'first/iter_{iteration}.pth')
    assert differences(final_state(epoch_run), final_state(resumed)) == []


def test_an_interrupted_search_resumes_from_its_newest_checkpoint(iteration_run, tmp_path):
    config = by_iterations(tmp_path)
    config.custom_hooks.append(dict(type='Interrupt', iteration=8))
    with pytest.raises(KeyboardInterrupt):
        run(config)
    again = by_iterations(tmp_path)
    set_resume(again, 'auto')
    assert again.load_from.endswith('iter_8.pth')
    assert differences(final_state(iteration_run), final_state(run(again))) == []


def test_a_search_whose_parts_leave_the_frames_open_goes_on_as_one_that_gives_them(epoch_run, iteration_run, tmp_path):
    for whole, config, checkpoint in (
        (epoch_run, by_epochs(tmp_path / 'epochs'), 'epoch_3.pth'),
        (iteration_run, by_iterations(tmp_path / 'iterations'), 'iter_3.pth'),
    ):
        model = config.model
        for part in (model.backbone, model.get('head') or model.decode_head):
            del part.num_frames
        check_resumed(whole, config, checkpoint)


def test_resuming_with_loading_workers_is_exact(tmp_path):
    whole = run(by_iterations(tmp_path / 'whole', workers=2))
    check_resumed(whole, by_iterations(tmp_path / 'resumed', workers=2), 'iter_3.pth')


def test_resuming_before_a_selection_without_trials_estimates_the_time_left(tmp_path):
    options = dict(train_cfg=dict(selection=dict(type='mmdas.ArgmaxSelection')))
    whole = run(iter_search(tmp_path / 'whole', **options))
    check_resumed(whole, iter_search(tmp_path / 'resumed', **options), 'iter_5.pth')


def test_the_cost_of_a_resumed_search_includes_what_was_spent_before(iteration_run, tmp_path):
    before = iteration_run.message_hub.get_info('search_wall_seconds')
    resumed = run(by_iterations(tmp_path), resume=Path(iteration_run.work_dir, f'iter_{iteration_run.max_iters}.pth'))
    assert resumed.message_hub.get_info('search_wall_seconds') == before


def test_a_search_without_a_seed_in_its_config_says_how_to_resume_exactly(tmp_path):
    run(iter_search(tmp_path / 'first', randomness=dict(seed=1)))
    resumed = run(iter_search(tmp_path / 'second', randomness=dict(seed=None)), tmp_path / 'first/iter_16.pth')
    assert 'randomness=dict(seed=1)' in read_log(resumed)
