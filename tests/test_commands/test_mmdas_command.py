"""The command ``mmdas``: its help, its slips in one line, and any config as one of DAS."""

import re
import shlex
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from shlex import split
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmdas.apis import FUSIONS, SELECTIONS, DASOptions, convert, load_config, preprocessor_of
from mmdas.commands import main, run_command, train
from mmdas.commands.early_signals import heeding_signals
from mmdas.commands.main import COMMANDS, overview
from mmdas.commands.parser import Parser
from mmdas.commands.run_options import load_run_config
from mmdas.engine.data_error import DataError
from mmdas.models.heads.temporal_pooling import POOLINGS
from mmdas.search.augmentation import rand_augment
from mmdas.search.das import Policy

ROOT = Path(__file__).parents[2]
HOST = 'resnet18_8xb16_cifar10'
SEGMENTOR = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy of two frames."""
    Policy.random(2).save(tmp_path / 'policy.json')
    return str(tmp_path / 'policy.json')


def config_of(*arguments: str) -> Config:
    """The config that ``mmdas train`` runs."""
    parser = Parser(prog='mmdas train')
    train.add_arguments(parser)
    return load_run_config(parser.parse_args(arguments))


def line_of(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """What a command that fails prints: one line."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize('arguments', [['--help'], *([verb, '--help'] for verb in COMMANDS)], ids=' '.join)
def test_help_comes_without_torch(arguments: list[str]):
    script = f"""
import sys
from mmdas.commands import main
try:
    main({arguments!r})
finally:
    assert 'torch' not in sys.modules
"""
    finished = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith('usage: mmdas')


@pytest.mark.parametrize('verb', COMMANDS)
def test_example_of_a_verb_is_a_command_of_it(verb: str):
    module = import_module(f'mmdas.commands.{verb.replace("-", "_")}')
    mmdas, command, *words = split(module.EXAMPLE)
    assert (mmdas, command) == ('mmdas', verb)
    parser = Parser(example=module.EXAMPLE)
    module.add_arguments(parser)
    parser.parse_args(words)
    assert parser.format_help().endswith(f'example:\n  {module.EXAMPLE}\n')


def test_package_is_the_command():
    finished = subprocess.run([sys.executable, '-m', 'mmdas'], capture_output=True, text=True)
    assert (finished.returncode, finished.stdout) == (0, overview() + '\n')


def test_help_names_all_choices(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(['train', '--help'])
    text = capsys.readouterr().out
    assert [name for name in (*FUSIONS, *POOLINGS, *SELECTIONS) if name not in text] == []


@pytest.mark.parametrize(
    ('arguments', 'match'),
    [
        (['trian', 'x.py'], 'there is no command trian; did you mean train?'),
        (['train', HOST, '--workdir', 'x'], 'there is no option --workdir; did you mean --work-dir?'),
        (['train', 'resnet18_8xb16_cifar'], f'did you mean mmpretrain::resnet/{HOST}.py?'),
        (['train', HOST, '--das', 'serch'], 'there is no file serch; did you mean search?'),
        (
            ['train', HOST, '--das', 'repeat', '--fusion', 'gfs'],
            "fusion must be one of ['aligned-gsf', 'aligned-gsm', 'aligned-tsm', 'gsf', ",
        ),
        (['train', HOST, '--frames', '8'], '--frames goes with --das'),
        (
            ['train', HOST, '--das', 'repeat', '--selection', 'argmax'],
            '--selection argmax is for a search, but --das is',
        ),
        (['train', HOST, '--cfg-options', 'a=[1,2'], '--cfg-options takes KEY=VALUE'),
        (['improve', HOST, '--cfg-options', 'a=[1,2'], '--cfg-options a=[1,2: a value cannot be read'),
        (['train', HOST, '--das', 'repeat', '--sites', 'a.b', 'c', 'a.b'], 'sites names a.b twice'),
        (['train', 'densenet121_4xb256_in1k', '--das', 'repeat'], 'DenseNet has no residual block'),
        (['search', HOST, '--das', 'repeat'], '--das repeat: this command searches'),
        (['test', HOST, 'x.pth', '--das', 'search'], '--das search is for a search'),
        (['predict', HOST, 'x.pth', 'x.png', '--das', 'search'], '--das search is for a search'),
        (['convert', 'resnet18_8xb16_cifar'], f'did you mean mmpretrain::resnet/{HOST}.py?'),
    ],
)
def test_slip_is_one_line_with_the_nearest_match(arguments: list[str], match: str, capsys):
    assert match in line_of(capsys, *arguments)


def test_unknown_file_and_checkpoint_name_those_beside_them(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / 'my_net.py').write_text(f"_base_ = ['mmpretrain::resnet/{HOST}.py']\n")
    (tmp_path / 'epoch_3.pth').touch()
    line = line_of(capsys, 'train', str(tmp_path / 'my_nett.py'))
    assert f'did you mean {tmp_path / "my_net.py"}?' in line
    line = line_of(capsys, 'test', str(tmp_path / 'my_net.py'), str(tmp_path / 'epoc_3.pth'))
    assert f'did you mean {tmp_path / "epoch_3.pth"}?' in line


def test_das_makes_an_installed_config_one_of_das(policy: str):
    repeat, search, das = (config_of(SEGMENTOR, '--das', what) for what in ('repeat', 'search', policy))
    assert [cfg.work_dir for cfg in (repeat, search, das)] == [
        f'work_dirs/{method}_{Path(SEGMENTOR).stem}' for method in ('repeat-4f-gsf', 'search-4f-gsf', 'das-2f-gsf')
    ]
    assert preprocessor_of(search).cell.type == 'mmdas.DASCell'
    assert (preprocessor_of(das).policy, das.num_frames) == (policy, 2)


def test_options_of_the_conversion_and_of_the_config_reach_it():
    options = ['--frames', '8', '--fusion', 'none', '--pooling', 'max', '--cfg-options', 'model.head.pooling=mean']
    cfg = config_of(HOST, '--das', 'repeat', *options)
    assert (cfg.num_frames, cfg.model.backbone.fusion, cfg.model.head.pooling) == (8, None, 'mean')
    assert cfg.work_dir == f'work_dirs/repeat-8f-none-pool-max_{HOST}'


def test_sites_are_where_the_fusion_is():
    cfg = config_of(HOST, '--das', 'repeat', '--sites', 'layer1.0.conv1', 'layer2.0.conv1')
    assert cfg.model.backbone.stages == ['layer1.0.conv1', 'layer2.0.conv1']


@pytest.mark.slow
def test_policies_of_two_names_have_two_work_directories_and_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ('policy', 'far shift.v2'):
        Policy.random(2).save(tmp_path / f'{name}.json')
        assert main(['convert', HOST, '--out-dir', '.', '--policy', f'{name}.json']) == 0
    expected = [f'das-2f-gsf_{HOST}', f'das-2f-gsf_{HOST}_far-shift-v2']
    assert [
        Path(config_of(HOST, '--das', f'{name}.json').work_dir).name for name in ('policy', 'far shift.v2')
    ] == expected
    assert {path.stem for path in tmp_path.glob('das-*.py')} == set(expected)
    assert [Path(load_config(f'{name}.py').work_dir).name for name in expected] == expected


@pytest.mark.parametrize('converted', [False, True])
@pytest.mark.slow
def test_training_over_one_with_another_policy_is_refused(converted: bool, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmdas.apis.build_runner', lambda cfg: SimpleNamespace(train=lambda: None))
    for seed, name in enumerate(('first', 'second')):
        (tmp_path / name).mkdir()
        Policy.random(2, seed=seed).save(tmp_path / name / 'policy.json')
    command = ['train', HOST, '--das']
    if converted:
        assert main(['convert', HOST, '--out-dir', '.', '--policy', 'first/policy.json']) == 0
        command = ['train', f'das-2f-gsf_{HOST}.py', '--policy']
    folder = Path('work_dirs', f'das-2f-gsf_{HOST}')
    folder.mkdir(parents=True)
    Policy.load('first/policy.json').save(folder / 'policy.json')
    assert main([*command, 'second/policy.json']) == 0  # no training there so far
    torch.save({'state_dict': {}, 'meta': {'epoch': 1, 'iter': 1}}, folder / 'epoch_1.pth')
    assert main([*command, 'first/policy.json']) == 0
    assert main([*command, 'second/policy.json', '--work-dir', str(folder)]) == 0
    line = line_of(capsys, *command, 'second/policy.json')
    assert f'{folder} holds a training with another policy ({folder}/policy.json) than second/policy.json' in line


def test_training_over_one_with_another_augmentation_is_refused(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmdas.apis.build_runner', lambda cfg: SimpleNamespace(train=lambda: None))
    for number, name in enumerate(('first', 'second'), 1):
        (tmp_path / name).mkdir()
        rand_augment(number).save(tmp_path / name / 'mine.json')
    command = ['train', HOST, '--augment']
    folder = Path('work_dirs', f'{HOST}_mine')
    folder.mkdir(parents=True)
    rand_augment(1).save(folder / 'augmentation.json')
    assert main([*command, 'second/mine.json']) == 0  # no training there so far
    torch.save({'state_dict': {}, 'meta': {'epoch': 1, 'iter': 1}}, folder / 'epoch_1.pth')
    assert main([*command, 'first/mine.json']) == 0
    line = line_of(capsys, *command, 'second/mine.json')
    assert f'{folder} holds a training with another policy ({folder}/augmentation.json) than second/mine.json' in line


def test_two_policies_are_refused(policy: str):
    with pytest.raises(ValueError, match='give the file of the policy to --das'):
        config_of(HOST, '--das', policy, '--policy', policy)


@pytest.mark.parametrize('plain', [True, False])
def test_search_takes_plain_and_search_configs(plain: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    searched = []
    monkeypatch.setattr(train, 'run', lambda args: searched.append(load_run_config(args)))
    if not plain:
        assert main(['convert', HOST, '--out-dir', '.']) == 0
    assert main(['search', HOST if plain else f'search-4f-gsf_{HOST}.py']) == 0
    assert Path(searched[0].work_dir) == Path(f'work_dirs/search-4f-gsf_{HOST}')
    assert preprocessor_of(searched[0]).cell.type == 'mmdas.DASCell'


@pytest.mark.parametrize('folder', [f'configs/das_{HOST}', 'my own'])
@pytest.mark.slow
def test_convert_writes_beside_the_caller_and_names_the_next_command(folder, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [] if folder.startswith('configs') else ['--out-dir', folder]
    assert main(['convert', HOST, '--frames', '2', '--fusion', 'tsm', *given]) == 0
    *paths, command = capsys.readouterr().out.splitlines()
    assert [Path(path).parent for path in paths] == [Path(folder)] * 3
    assert all(load_config(path).num_frames == 2 for path in paths)
    assert shlex.split(command) == ['next:', 'mmdas', 'train', paths[1]]


def test_convert_keeps_edited_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.chdir(tmp_path)
    assert main(['convert', HOST]) == 0
    edited = tmp_path / f'configs/das_{HOST}/das-4f-gsf_{HOST}.py'
    edited.write_text('x = 1\n')
    capsys.readouterr()
    assert 'would be written over' in line_of(capsys, 'convert', HOST)
    assert edited.read_text() == 'x = 1\n'
    assert main(['convert', HOST, '--force']) == 0
    assert edited.read_text() != 'x = 1\n'


@pytest.mark.parametrize('saved', [True, False])
def test_stopped_training_says_how_to_go_on(saved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    class Stopped:
        def train(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr('mmdas.apis.build_runner', lambda cfg: Stopped())
    if saved:
        torch.save({'meta': {'epoch': 1, 'iter': 3}}, tmp_path / 'epoch_1.pth')
    assert main(['train', HOST, '--work-dir', str(tmp_path)]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    if saved:
        assert line.endswith(f'go on with: mmdas train {HOST} --work-dir {tmp_path} --resume')
    else:
        assert 'stopped before the first checkpoint' in line


def test_images_of_several_sizes_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    class Uneven:
        def train(self) -> None:
            torch.stack([torch.zeros(3, 4, 5), torch.zeros(3, 5, 5)])  # as the data preprocessors of both toolboxes

    monkeypatch.setattr('mmdas.apis.build_runner', lambda cfg: Uneven())
    line = line_of(capsys, 'train', HOST, '--work-dir', str(tmp_path))
    assert 'the images of a batch have several sizes' in line
    assert "dict(type='Resize'" in line


def test_mixed_precision_without_a_gpu_is_one_line(tmp_path: Path, capsys):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    assert '--amp needs a GPU' in line_of(capsys, 'train', HOST, '--amp', '--work-dir', str(tmp_path))


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Checkpoints of untrained models of one host: the plain one and one of DAS; and an image."""
    folder = tmp_path_factory.mktemp('trained')
    cfg = load_config('mobilenet-v2_8xb16_cifar10')
    made = {}
    for name, config in {'plain': cfg, 'das': convert(cfg, 'repeat', DASOptions(2))}.items():
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build({'data_preprocessor': config.data_preprocessor, **config.model})
        made[name] = str(folder / f'{name}.pth')
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, made[name])
    cv2.imwrite(str(folder / 'grey.png'), np.full((32, 32, 3), 128, np.uint8))
    return {**made, 'image': str(folder / 'grey.png')}


@pytest.mark.parametrize(('model', 'options'), [('plain', []), ('das', ['--das', 'repeat', '--frames', '2'])])
@pytest.mark.slow
def test_predict_tells_the_class_of_an_image(model: str, options: list[str], trained, tmp_path: Path, capsys):
    arguments = ['predict', 'mobilenet-v2_8xb16_cifar10', trained[model], trained['image'], '--out-dir', str(tmp_path)]
    assert main([*arguments, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if re.fullmatch(rf'{trained["image"]}: \w+ \([01]\.\d\d\)', line)]
    assert (tmp_path / 'grey.png').is_file()


def test_predict_refuses_a_path_that_leads_nowhere(trained: dict[str, str], capsys: pytest.CaptureFixture):
    assert 'absent.png' in line_of(capsys, 'predict', 'mobilenet-v2_8xb16_cifar10', trained['plain'], 'absent.png')


def test_check_runs_its_script(capsys: pytest.CaptureFixture):
    assert main(['check']) in (0, 1)
    assert 'Python' in capsys.readouterr().out


@pytest.mark.slow
def test_options_of_the_command_line_reach_the_host_wherever_the_conversion_puts_it():
    options = {'optim_wrapper.optimizer.lr': 0.5, 'model.backbone.base_channels': 8, 'train_cfg.max_iters': 40}
    options |= {'train_dataloader.dataset.indices': 8, 'model.backbone.stages': (0,), 'resume': True}
    host = str(ROOT / 'configs/digit_scenes/fcn_r18-d4_digits-48x48.py')
    search = load_config(host, cfg_options=options, das='search')
    assert search.optim_wrapper.weights.optimizer.lr == 0.5
    assert search.model.backbone.backbone.base_channels == 8
    assert (search.train_cfg.max_iters, search.train_cfg.warmup_iters) == (40, 10)
    assert search.param_scheduler.weights[0].T_max == 40
    assert search.train_dataloader.dataset.dataset.indices == 8  # within the holdout
    assert search.model.backbone.stages == (0,) and search.resume  # of the fusion, of the run
    trained = load_config(host, cfg_options=options, das='repeat')
    assert (trained.train_cfg.max_iters, trained.model.backbone.backbone.base_channels) == (40, 8)


@pytest.mark.parametrize(
    ('arguments', 'left'),
    [
        (['c.py', '--resume', 'old.pth', '--amp'], ['c.py', '--amp']),
        (['c.py', '--resume=old.pth'], ['c.py']),
        (['c.py', '--resume', '--amp'], ['c.py', '--amp']),
    ],
)
def test_advice_after_a_stop_resumes_the_newest_checkpoint(arguments: list[str], left: list[str]):
    assert train.without_resume(arguments) == left


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('foo', r'--cfg-options takes KEY=VALUE'),
        ('optim_wrapper.optimizer.lr.base=1', r'optim_wrapper.optimizer.lr.base=1 cannot be put into the config'),
        ('load_from=nowhere.pth', r'nowhere.pth'),
    ],
)
def test_options_that_do_not_fit_are_told_in_one_line(option: str, message: str, capsys):
    host = str(ROOT / 'configs/digit_scenes/fcn_r18-d4_digits-48x48.py')
    try:
        code = run_command('train', [host, '--cfg-options', option])
    except SystemExit as stopped:
        code = stopped.code
    printed = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and re.search(message, printed[-1])


@pytest.mark.parametrize('verb', ['train', 'search'])
def test_data_at_fault_ends_a_run_in_one_line(verb, tmp_path, capsys, monkeypatch):
    class Broken:
        def train(self) -> None:
            raise DataError('Traceback ...\nmmdas.engine.data_error.DataError: the image a.jpg is empty; restore it\n')

    monkeypatch.setattr('mmdas.apis.build_runner', lambda cfg: Broken())
    line = line_of(capsys, verb, HOST, '--work-dir', str(tmp_path))
    assert line == f'mmdas {verb}: the image a.jpg is empty; restore it'


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1'])
def test_a_signal_before_the_first_iteration_ends_with_the_code_for_another_try(capsys, name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, heeding_signals('mmdas train', 'mmdas train C --resume'):
        signal.raise_signal(number)
    assert ended.value.code == 75
    assert f'stopped by {name} outside the iterations; go on with: mmdas train C --resume' in capsys.readouterr().err
    assert signal.getsignal(number) is before


def test_search_takes_the_config_of_a_search_of_an_augmentation(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    searched = []
    monkeypatch.setattr(train, 'run', lambda args: searched.append(load_run_config(args)))
    load_config(HOST, das='ddas').dump('mine.py')
    assert main(['search', 'mine.py']) == 0
    assert preprocessor_of(searched[0]).augments[0].search.type == 'mmdas.DDASSearch'
    assert 'train with it' not in capsys.readouterr().out
    text = '--method ddas: mine.py is the config of a search already; leave it out, or give a plain one'
    assert text in line_of(capsys, 'search', 'mine.py', '--method', 'ddas')


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (['--das', 'search'], '--das search is the search of a clip, --method ddas another one; leave out one'),
        (
            ['--augment', 'uniform'],
            '--augment uniform: this run searches the augmentation of its batches; leave it out',
        ),
        (
            ['--budget', '1h', '--cfg-options', 'train_cfg.max_epochs=9'],
            '--budget 1h and train_cfg.max_epochs both say how long the search is; leave out one',
        ),
    ],
)
def test_options_of_a_search_that_say_two_things_are_refused(options: list[str], text: str, capsys):
    assert text in line_of(capsys, 'search', HOST, '--method', 'ddas', *options)


def test_a_white_that_is_not_known_is_told_in_one_line(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ['data_preprocessor.mean=[32000,32000,32000]', 'data_preprocessor.std=[16000,16000,16000]']
    line = line_of(capsys, 'train', HOST, '--augment', 'uniform', '--cfg-options', *options)
    assert 'and 15 more must know which value is white; set data_preprocessor.max_value' in line
