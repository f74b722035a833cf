"""The fast form of a search: its schedule, what it costs by passes, and a real one."""

import pytest
from mmengine.config import Config

from mmdas.apis import load_config, set_fast, short_search
from mmdas.apis.fast_search import RATE
from mmdas.engine.runner.search_schedule import Round, SearchSchedule

HOSTS = {
    'iters': 'mmseg::pspnet/pspnet_r50-d8_4xb4-40k_voc12aug-512x512.py',
    'epochs': 'mmpretrain::resnet/resnet18_8xb16_cifar10.py',
}
FRAMES = 4
A_BATCH = 100  # iterations of an epoch


def schedule_of(cfg: Config, unit: str) -> SearchSchedule:
    loop, length = cfg.train_cfg, A_BATCH if unit == 'epochs' else 1
    image, warmup, total = (loop.get(f'{part}_{unit}', 0) for part in ('image', 'warmup', 'max'))
    rounds = [Round('image', image * length), Round('weights', (warmup - image) * length)]
    rounds.append(Round('policy', (total - warmup) * length))
    return SearchSchedule(rounds, 0, policy_interval=loop.get('policy_interval', 1), num_frames=FRAMES)


@pytest.mark.parametrize('unit', HOSTS)
def test_a_fast_search_takes_less_than_a_third_of_the_passes(unit):
    default = load_config(HOSTS[unit], das='search')
    fast = load_config(HOSTS[unit], das='search')
    set_fast(fast)
    passes = [schedule.passes_before(len(schedule)) for schedule in (schedule_of(cfg, unit) for cfg in (default, fast))]
    assert 0.15 < passes[1] / passes[0] < 0.33


@pytest.mark.parametrize('unit', HOSTS)
def test_a_fast_search_moves_the_policy_about_as_far_and_ends_its_schedules_with_it(unit):
    default, fast = (load_config(HOSTS[unit], das='search') for _ in range(2))
    set_fast(fast)
    farthest = [
        schedule_of(cfg, unit).policy_steps() * cfg.optim_wrapper.policy.optimizer.lr for cfg in (default, fast)
    ]
    assert farthest[1] == pytest.approx(farthest[0], rel=0.35)
    assert fast.optim_wrapper.policy.optimizer.lr == RATE * default.optim_wrapper.policy.optimizer.lr
    assert {scheduler.end for scheduler in fast.param_scheduler.weights} == {fast.train_cfg[f'max_{unit}']}
    assert short_search(fast) is None


@pytest.mark.parametrize('options', [{}, {'das': 'repeat'}, {'das': 'ddas'}])
def test_what_does_not_search_a_clip_is_refused(options):
    with pytest.raises(ValueError, match='--fast is for the search of the clip of DAS'):
        set_fast(load_config(HOSTS['iters'], **options))


def test_a_search_that_does_not_say_the_rate_of_its_policy_is_refused():
    cfg = load_config(HOSTS['iters'], das='search')
    del cfg.optim_wrapper.policy.optimizer.lr
    with pytest.raises(ValueError, match='optim_wrapper.policy.optimizer.lr'):
        set_fast(cfg)


def test_an_interval_of_the_user_stays():
    cfg = load_config(HOSTS['iters'], das='search')
    cfg.train_cfg.policy_interval = 5
    set_fast(cfg)
    assert cfg.train_cfg.policy_interval == 5
