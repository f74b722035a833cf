from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from toy_search import differences, epoch_search, final_state, iter_search, loader, read_log, run, selection_config

from mmdas.apis import set_resume

# Every search has 2 units of the weights phase, 2 of the policy phase and then 6 decisions, each with its tuning.
VALIDATION = dict(
    val_cfg={},
    val_evaluator=dict(type='IoUMetric'),
    val_dataloader=loader('PackSegInputs', shuffle=False, batch_size=1, dataset=dict(count=2)),
)


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
@pytest.mark.slow
def test_iterations_resumed_in_any_phase_end_as_the_uninterrupted_search(iteration_run, tmp_path, iteration, phase):
    assert iteration_run.train_loop.schedule.round_at(iteration).phase == phase
    check_resumed(iteration_run, by_iterations(tmp_path), f'iter_{iteration}.pth')


@pytest.mark.parametrize(
    ('epoch', 'phase'),
    [(1, 'weights'), (3, 'policy'), (6, 'selection'), (7, 'tuning')],
)
@pytest.mark.slow
def test_epochs_resumed_in_any_phase_end_as_the_uninterrupted_search(epoch_run, tmp_path, epoch, phase):
    assert epoch_run.train_loop.schedule.rounds[epoch].phase == phase
    check_resumed(epoch_run, by_epochs(tmp_path), f'epoch_{epoch}.pth')


@pytest.mark.parametrize('iteration', [8, 14])
@pytest.mark.slow
def test_a_search_by_epochs_goes_on_within_an_epoch(epoch_run, tmp_path, iteration):
    config = checkpoint_every_iteration(
        by_epochs(tmp_path / 'first', custom_hooks=[dict(type='Interrupt', iteration=iteration)])
    )
    with pytest.raises(KeyboardInterrupt):
        run(config)
    resumed = run(by_epochs(tmp_path / 'second'), resume=tmp_path / f'first/iter_{iteration}.pth')
    assert differences(final_state(epoch_run), final_state(resumed)) == []


def by_step(work_dir: Path, search: str, step: str) -> Config:
    """Two units of the weights phase, two of the policy phase, a selection without trials and two of tuning."""
    options = dict(type=f'mmdas.{step}')
    if step == 'AdversarialStep':
        options['critic'] = dict(type='mmdas.LinearCritic', channels=8)
    selection = dict(type='mmdas.ArgmaxSelection', tune=2)
    if search == 'iterations':
        return iter_search(work_dir, train_cfg=dict(max_iters=4, warmup_iters=2, step=options, selection=selection))
    return checkpoint_every_iteration(
        epoch_search(work_dir, train_cfg=dict(max_epochs=4, warmup_epochs=2, step=options, selection=selection))
    )


@pytest.mark.parametrize('search', ['iterations', 'epochs'])
@pytest.mark.parametrize('step', ['LookAheadStep', 'AdversarialStep'])
@pytest.mark.slow
def test_a_search_with_every_step_goes_on_exactly(tmp_path, search, step):
    whole = run(by_step(tmp_path / 'whole', search, step))
    middle, tuning = (3, 6) if search == 'iterations' else (8, 15)
    phases = [whole.train_loop.schedule.round_at(iteration).phase for iteration in (middle, tuning)]
    assert phases == ['policy', 'tuning']
    for iteration in (middle, tuning):
        resumed = run(by_step(tmp_path / f'{iteration}', search, step), tmp_path / f'whole/iter_{iteration}.pth')
        assert differences(final_state(whole), final_state(resumed)) == []
        states = [runner.train_loop.step.state_dict() for runner in (whole, resumed)]
        assert differences(*states) == []


@pytest.mark.slow
def test_a_checkpoint_of_an_adversarial_search_holds_its_critic(tmp_path):
    runner = run(by_step(tmp_path, 'iterations', 'AdversarialStep'))
    first, last = (
        torch.load(tmp_path / f'iter_{iteration}.pth', weights_only=False)['search_step']['state']
        for iteration in (3, 7)
    )
    assert differences(last, runner.train_loop.step.state_dict()) == []
    assert not torch.equal(first['critic']['linear.weight'], last['critic']['linear.weight'])
    assert first['optimizer']['state']


@pytest.mark.parametrize('steps', [('AdversarialStep', 'AlternatingStep'), ('LookAheadStep', 'AdversarialStep')])
def test_resuming_with_a_step_of_another_state_is_refused(tmp_path, steps):
    first, second = (by_step(tmp_path / step, 'iterations', step) for step in steps)
    first.custom_hooks.append(dict(type='Interrupt', iteration=1))
    with pytest.raises(KeyboardInterrupt):
        run(first)
    with pytest.raises(ValueError, match=f'train_cfg.step is a {steps[1]}; resume with the step'):
        run(second, resume=tmp_path / steps[0] / 'iter_1.pth')


def test_the_default_step_adds_nothing_to_a_checkpoint(iteration_run):
    assert 'search_step' not in torch.load(Path(iteration_run.work_dir, 'iter_4.pth'), weights_only=False)


@pytest.mark.slow
def test_an_interrupted_search_resumes_from_its_newest_checkpoint(iteration_run, tmp_path):
    config = by_iterations(tmp_path)
    config.custom_hooks.append(dict(type='Interrupt', iteration=8))
    with pytest.raises(KeyboardInterrupt):
        run(config)
    again = by_iterations(tmp_path)
    set_resume(again, 'auto')
    assert again.load_from.endswith('iter_8.pth')
    assert differences(final_state(iteration_run), final_state(run(again))) == []


@pytest.mark.slow
def test_a_search_whose_parts_leave_the_frames_open_goes_on_as_one_that_gives_them(epoch_run, iteration_run, tmp_path):
    for whole, config, checkpoint in (
        (epoch_run, by_epochs(tmp_path / 'epochs'), 'epoch_3.pth'),
        (iteration_run, by_iterations(tmp_path / 'iterations'), 'iter_3.pth'),
    ):
        model = config.model
        for part in (model.backbone, model.get('head') or model.decode_head):
            del part.num_frames
        check_resumed(whole, config, checkpoint)


@pytest.mark.slow
def test_resuming_with_loading_workers_is_exact(tmp_path):
    before = set(active_children())
    whole = run(by_iterations(tmp_path / 'whole', workers=2))
    assert set(active_children()) <= before, 'the workers have ended'
    check_resumed(whole, by_iterations(tmp_path / 'resumed', workers=2), 'iter_3.pth')


@pytest.mark.slow
def test_resuming_before_a_selection_without_trials_estimates_the_time_left(tmp_path):
    options = dict(train_cfg=dict(selection=dict(type='mmdas.ArgmaxSelection')))
    whole = run(iter_search(tmp_path / 'whole', **options))
    check_resumed(whole, iter_search(tmp_path / 'resumed', **options), 'iter_5.pth')


def test_the_cost_of_a_resumed_search_includes_what_was_spent_before(iteration_run, tmp_path):
    before = iteration_run.message_hub.get_info('search_wall_seconds')
    resumed = run(by_iterations(tmp_path), resume=Path(iteration_run.work_dir, f'iter_{iteration_run.max_iters}.pth'))
    assert resumed.message_hub.get_info('search_wall_seconds') == before


@pytest.mark.slow
def test_a_search_without_a_seed_in_its_config_says_how_to_resume_exactly(tmp_path):
    run(iter_search(tmp_path / 'first', randomness=dict(seed=1)))
    resumed = run(iter_search(tmp_path / 'second', randomness=dict(seed=None)), tmp_path / 'first/iter_16.pth')
    assert 'randomness=dict(seed=1)' in read_log(resumed)
