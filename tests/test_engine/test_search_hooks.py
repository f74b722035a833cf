import logging
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from toy_search import differences, epoch_search, iter_search, loader, prepare, run

from mmdas.engine import LabelCheckHook, PolicyHook, SearchProgressHook
from mmdas.engine.hooks.label_check_hook import check_labels
from mmdas.engine.hooks.random_state_hook import RandomStateHook, kept_random_state, random_state, set_random_state
from mmdas.engine.hooks.search_progress_hook import search_cost
from mmdas.engine.runner.search_schedule import Round, SearchSchedule
from mmdas.engine.selection import Decision


def map_sample(*labels: int) -> SegDataSample:
    sample = SegDataSample(metainfo=dict(img_path='street.jpg', seg_map_path='street.png'))
    return sample.set_data(dict(gt_sem_seg=PixelData(data=torch.tensor([[labels]])))) or sample


def image_sample(*labels: int) -> DataSample:
    return DataSample(metainfo=dict(img_path='cat.jpg')).set_gt_label(torch.tensor(labels))


# labels


@pytest.mark.parametrize(
    ('sample', 'num_classes'),
    [
        (map_sample(0, 10, 255), 11),
        (map_sample(0, 1, 255), 1),  # a binary head of one channel
        (image_sample(9), 10),
        (image_sample(0, 3), 4),  # several labels an image
        (DataSample(), 2),
    ],
)
def test_labels_within_the_classes_and_the_ignored_one_pass(sample, num_classes):
    check_labels(sample, num_classes)


@pytest.mark.parametrize(
    ('sample', 'num_classes', 'message'),
    [
        (map_sample(0, 11, 12), 11, r'labels \[11, 12\] of street.png lie outside the 11 classes 0..10'),
        (map_sample(0, 254), 11, r'labels \[254\] of street.png'),
        (map_sample(1, 2), 1, r'labels \[2\] of street.png lie outside the 2 classes 0..1'),
        (image_sample(10), 10, r'labels \[10\] of cat.jpg lie outside the 10 classes 0..9'),
        (image_sample(-1), 10, r'labels \[-1\] of cat.jpg'),
    ],
)
def test_a_label_outside_the_classes_is_an_error_that_names_file_and_label(sample, num_classes, message):
    with pytest.raises(ValueError, match=message):
        check_labels(sample, num_classes)


def test_another_ignored_label_passes_and_the_usual_one_does_not():
    check_labels(map_sample(0, 9), 2, ignore_index=9)
    with pytest.raises(ValueError, match=r'\[255\]'):
        check_labels(map_sample(0, 255), 2, ignore_index=9)


@pytest.mark.parametrize('part', ['weights', 'policy'])
def test_a_search_stops_at_a_wrong_label_of_either_part(tmp_path, part):
    wrong = loader('PackInputs', dataset=dict(count=6, first_label=1))
    options = dict(train_dataloader=wrong) if part == 'weights' else dict(policy_loader=wrong)
    with pytest.raises(ValueError, match=r'labels \[2\] of [135].png lie outside the 2 classes'):
        run(epoch_search(tmp_path, **options))


def test_the_hook_reads_classes_and_ignored_label_from_the_last_head_of_a_cascade(tmp_path):
    runner = prepare(iter_search(tmp_path))
    head = runner.model.decode_head
    head.ignore_index = 7
    runner.model.decode_head = torch.nn.ModuleList([torch.nn.Identity(), head])
    LabelCheckHook().before_train_iter(runner, 0, dict(data_samples=[map_sample(0, 1, 7)]))
    with pytest.raises(ValueError, match=r'\[255\] of street.png lie outside the 2 classes'):
        LabelCheckHook().before_train_iter(runner, 0, dict(data_samples=[map_sample(0, 255)]))


# random state


def draw() -> list:
    return [torch.rand(3), np.random.rand(3).tolist(), np.random.randn(), random.random(), random.gauss(0, 1)]


def test_the_restored_random_state_draws_the_same_numbers():
    draw()  # leaves half of a pair of normal numbers in both generators
    state = random_state()
    numbers = draw()
    set_random_state(state)
    assert differences(draw(), numbers) == []


def test_what_is_drawn_within_leaves_the_random_state_alone_even_after_an_error():
    state = random_state()
    with pytest.raises(KeyError), kept_random_state():
        draw()
        raise KeyError
    assert differences(random_state(), state) == []


def test_the_random_state_of_a_checkpoint_survives_strict_loading(tmp_path):
    hook, checkpoint = RandomStateHook(), {}
    hook.before_save_checkpoint(None, checkpoint)
    torch.save(checkpoint, tmp_path / 'checkpoint.pth')
    numbers = draw()
    loaded = RandomStateHook()
    loaded.after_load_checkpoint(None, torch.load(tmp_path / 'checkpoint.pth', weights_only=True))
    assert differences(draw(), numbers) != []
    loaded.restore()
    assert differences(draw(), numbers) == []


def test_a_checkpoint_without_a_random_state_changes_nothing():
    hook, state = RandomStateHook(), random_state()
    hook.after_load_checkpoint(None, {})
    hook.restore()
    assert differences(random_state(), state) == []


@pytest.mark.parametrize('place', ['before_train_iter', 'before_val_iter', 'before_test_iter'])
def test_the_labels_of_every_kind_of_run_are_checked(place):
    runner = SimpleNamespace(model=SimpleNamespace(head=SimpleNamespace(num_classes=2)))
    sample = DataSample().set_gt_label(2)
    with pytest.raises(ValueError, match='labels .2. of an image lie outside the 2 classes'):
        getattr(LabelCheckHook(), place)(runner, 0, dict(data_samples=[sample]))


# progress


@pytest.mark.parametrize('start', [0, 3, 6])
def test_the_estimate_of_the_time_left_is_right_where_the_cost_of_the_phases_is(monkeypatch, start):
    rounds = [Round('weights', 2), Round('policy', 3), Round('selection', 1, Decision('all', 0, 5)), Round('tuning', 2)]
    schedule, hub, clock = SearchSchedule(rounds, batches_per_decision=4), MessageHub('progress'), [0.0]
    loop = SimpleNamespace(schedule=schedule, phase='weights')
    logger = logging.getLogger('progress')
    runner = SimpleNamespace(train_loop=loop, iter=start, message_hub=hub, world_size=1, logger=logger)
    monkeypatch.setattr('time.perf_counter', lambda: clock[0])
    hook = SearchProgressHook()
    hook.before_train(runner)
    for runner.iter in range(start, len(schedule)):
        hook.before_train_iter(runner, runner.iter)
        clock[0] += 7 * (schedule.passes_before(runner.iter + 1) - schedule.passes_before(runner.iter))
        hook.after_train_iter(runner, runner.iter)
        left = schedule.passes_before(len(schedule)) - schedule.passes_before(runner.iter + 1)
        assert hub.get_info('eta') == pytest.approx(7 * left)
    assert search_cost(runner)['wall_seconds'] == pytest.approx(clock[0], abs=1e-3)


# policy


def test_policy_and_picture_have_the_name_of_the_config(tmp_path):
    config = iter_search(
        tmp_path, train_cfg=dict(max_iters=1, warmup_iters=0, selection=dict(type='mmdas.ArgmaxSelection'))
    )
    config.custom_hooks = [dict(type='mmdas.PolicyHook', filename='found.json')]
    run(config, pictures=True)
    assert {path.name for path in Path(tmp_path).glob('found.*')} == {'found.json', 'found.png'}


@pytest.mark.parametrize('operation', ['identity', 'rotate'])
def test_search_that_ends_at_the_image_itself_says_so(tmp_path, operation: str):
    config = iter_search(
        tmp_path, train_cfg=dict(max_iters=1, warmup_iters=0, selection=dict(type='mmdas.ArgmaxSelection'))
    )
    config.model.data_preprocessor.cell.space = [operation]
    config.custom_hooks = [dict(type='mmdas.PolicyHook')]
    run(config)
    (log,) = tmp_path.rglob('*.log')
    assert ('its clip repeats the image' in log.read_text()) == (operation == 'identity')


def test_an_interval_below_one_is_refused():
    with pytest.raises(ValueError, match='PolicyHook.interval must be at least 1, got 0'):
        PolicyHook(interval=0)
