"""The fast form of a search: its schedule, what it costs by passes, and a real one."""

from argparse import ArgumentParser
from dataclasses import replace

import pytest
from mmengine.config import Config

from mmdas.apis import (
    METHODS,
    DASOptions,
    convert,
    das_configs,
    find_config,
    load_config,
    preprocessor_of,
    read_config,
    set_fast,
    short_search,
    take_up_earlier,
)
from mmdas.apis.fast_search import RATE
from mmdas.commands import convert as convert_command
from mmdas.commands import search, train
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


LIST_OF_HEADS = 'mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
CASES = [
    (HOSTS['iters'], DASOptions(fast=True)),
    (HOSTS['epochs'], DASOptions(8, 'tsm', fast=True, any_frames=True, part_after='layer1')),
    (LIST_OF_HEADS, DASOptions(fusion='aligned-tsm', pooling='aligned', search_length=1000, fast=True)),
]


@pytest.mark.parametrize(('host', 'options'), CASES)
def test_the_conversion_makes_the_search_that_set_fast_makes_of_the_default_one(host, options, tmp_path):
    path = find_config(host)[0]
    cfg = read_config(path)
    expected = convert(cfg, 'search', replace(options, fast=False))
    set_fast(expected)
    made = convert(cfg, 'search', options)
    assert without_marks(made.to_dict()) == without_marks(expected.to_dict())
    for method, (name, text) in zip(METHODS, das_configs(cfg, path.stem, host, options).items(), strict=True):
        (tmp_path / name).write_text(text)
        made = convert(cfg, method, options)
        assert without_marks(read_config(tmp_path / name).to_dict()) == without_marks(made.to_dict())
        assert made.filename == name


def without_marks(value):
    """Data without MMEngine's marks of scopes."""
    if isinstance(value, dict):
        return {key: without_marks(inner) for key, inner in value.items() if key != '_scope_'}
    return [without_marks(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def test_a_fast_search_and_its_training_have_names_of_their_own():
    cfg = read_config(find_config(HOSTS['epochs'])[0])
    for method in ('search', 'das'):
        names = {convert(cfg, method, DASOptions(fast=fast)).filename for fast in (False, True)}
        assert names == {f'{method}-4f-gsf{word}_resnet18_8xb16_cifar10.py' for word in ('', '-fast')}
    das = convert(cfg, 'das', DASOptions(fast=True))
    assert preprocessor_of(das).policy == 'work_dirs/search-4f-gsf-fast_resnet18_8xb16_cifar10/policy.json'
    given = convert(cfg, 'das', DASOptions(fast=True, policy='mine.json'))
    assert given.filename == convert(cfg, 'das', DASOptions(policy='mine.json')).filename


def test_a_search_config_made_fast_has_a_folder_of_its_own():
    cfg = load_config(HOSTS['iters'], das='search', work_dir='runs/mine')
    set_fast(cfg, own_folder=True)
    assert cfg.work_dir == 'runs/mine_fast'


@pytest.mark.parametrize('kept_is_fast', [True, False])
@pytest.mark.parametrize('new', ['search-4f-gsf-fast_mine', 'my_search_fast'])
def test_a_fast_search_resumes_in_the_folder_of_its_earlier_name(new, kept_is_fast, tmp_path):
    earlier = tmp_path / {'search-4f-gsf-fast_mine': 'search-4f-gsf_mine'}.get(new, 'my_search')
    file = 'my_search.py' if new == 'my_search_fast' else f'{new}.py'
    cfg = Config(dict(work_dir=str(tmp_path / new)), cfg_text='# mine', filename=file)
    take_up_earlier(cfg)
    assert cfg.work_dir == str(tmp_path / new)  # nothing is there
    earlier.mkdir()
    (earlier / 'iter_10.pth').write_bytes(b'weights')
    image = 'image_iters=20, ' * kept_is_fast
    (earlier / f'{earlier.name}.py').write_text(f'train_cfg = dict({image}max_iters=30)\n')
    take_up_earlier(cfg)
    assert cfg.work_dir == str(earlier if kept_is_fast else tmp_path / new)
    (tmp_path / new).mkdir()
    (tmp_path / new / 'iter_10.pth').write_bytes(b'weights')
    cfg.work_dir = str(tmp_path / new)
    take_up_earlier(cfg)
    assert cfg.work_dir == str(tmp_path / new)


def test_the_command_line_makes_plain_and_search_configs_fast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser, convert_parser = ArgumentParser(), ArgumentParser()
    search.add_arguments(parser)
    convert_command.add_arguments(convert_parser)
    convert_command.run(convert_parser.parse_args([HOSTS['epochs'], '--fast', '--out-dir', 'made']))
    plain = parser.parse_args([HOSTS['epochs'], '--fast', '--das', 'search'])
    written = parser.parse_args(['made/search-4f-gsf-fast_resnet18_8xb16_cifar10.py'])
    default = tmp_path / 'search.py'
    convert(read_config(find_config(HOSTS['epochs'])[0]), 'search').dump(default)
    made = parser.parse_args([str(default), '--fast'])
    found = {args.config: train.read(args) for args in (plain, written, made)}
    assert [cfg.work_dir for cfg in found.values()] == [
        *['work_dirs/search-4f-gsf-fast_resnet18_8xb16_cifar10'] * 2,
        'work_dirs/search_fast',
    ]
    first, *others = (cfg.train_cfg for cfg in found.values())
    assert first.image_epochs and others == [first, first]
