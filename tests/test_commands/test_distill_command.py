"""``mmdas distill``: a plain student of any teacher, in one command."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from tool_scripts import load_script

from mmdas.apis import DASOptions, DistillOptions, load_config
from mmdas.apis.distill_config import check_name, place_of, set_distillation, teacher_config
from mmdas.commands import distill, main
from mmdas.commands import test as mmdas_test
from mmdas.commands.parser import Parser
from mmdas.search.das import Policy

CONFIG = str(Path(__file__).parents[2] / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')
HOST = 'resnet18_8xb16_cifar10'
SHORT = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2']
SHORT += ['default_hooks.logger.interval=1', 'train_dataloader.batch_size=2']


def save_weights(path: Path, cfg: Config) -> str:
    """A checkpoint of the untrained model of a config."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, path)
    return str(path)


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp('policy') / 'policy.json'
    Policy.random(2, seed=1).save(path)
    return str(path)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a training of two steps on a few scenes."""
    root = tmp_path_factory.mktemp('scenes')
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(root, num_train=4, num_val=1)
    return [*SHORT, *(f'{part}_dataloader.dataset.data_root={root}' for part in ('train', 'val'))]


@pytest.fixture(scope='module')
def das_weights(policy: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    cfg = load_config(CONFIG, das='das', options=DASOptions(2, 'tsm', policy=policy))
    return save_weights(tmp_path_factory.mktemp('das') / 'das.pth', cfg)


@pytest.mark.slow
def test_a_plain_segmentor_learns_from_das_and_the_command_names_its_test(policy, das_weights, scenes, tmp_path, capfd):
    work_dir = tmp_path / 'run'
    arguments = ['distill', CONFIG, '--teacher', CONFIG, das_weights, '--teacher-das', policy]
    arguments += ['--teacher-fusion', 'tsm', '--views', '2', '--loss', 'kl', 'cwd', '--temperature', '2', '1']
    code = main([*arguments, '--weight', '0.5', '--work-dir', str(work_dir), '--cfg-options', *scenes])
    output, errors = capfd.readouterr()
    assert code == 0, errors
    checkpoint = work_dir / 'iter_2.pth'
    tested = f'mmdas test {CONFIG} {checkpoint} --cfg-options {scenes[-1]}'
    assert output.splitlines()[-1] == f'the student is an ordinary model: {tested}'
    with DefaultScope.overwrite_default_scope('mmseg'):
        plain = MODELS.build(load_config(CONFIG).model)
    plain.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    assert 'with 2 views of an image by KLDistillation(temperature=2.0, weight=0.5), ' in output
    assert 'ChannelWiseDistillation(temperature=1.0, weight=0.5)' in output
    assert 'teacher/mIoU: ' in output
    assert set(json.loads((work_dir / 'teacher_score.json').read_text())['metrics']) >= {'mIoU', 'aAcc'}
    (saved,) = work_dir.glob(f'{Path(CONFIG).stem}*')
    before = saved.read_bytes()
    assert main(['train', CONFIG, '--resume', '--work-dir', str(work_dir), '--cfg-options', *scenes]) == 2
    assert 'its model learned from a teacher, and this run has none' in capfd.readouterr().err
    assert saved.read_bytes() == before, 'what is refused changes nothing'


def test_the_config_of_a_teacher_holds_its_policy_and_its_data_preprocessor(policy, das_weights, tmp_path):
    options = DistillOptions(((CONFIG, das_weights),), 'das', DASOptions(2, 'tsm', policy=policy))
    made = teacher_config(CONFIG, das_weights, options)
    assert made.model.data_preprocessor.policy == Policy.load(policy).to_dict()
    assert made.model.type == 'mmdas.DASEncoderDecoder'
    assert set(made) == {'default_scope', 'model'}


def test_a_config_whose_preprocessor_stands_outside_its_model_becomes_whole(tmp_path):
    cfg = load_config(HOST)
    torch.save({'state_dict': {}}, tmp_path / 'weights.pth')
    weights = str(tmp_path / 'weights.pth')
    made = teacher_config(HOST, weights, DistillOptions(((HOST, weights),)))
    assert made.model.data_preprocessor == cfg.data_preprocessor


def test_a_training_with_a_teacher_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': {}}, tmp_path / 'weights.pth')
    cfg = load_config(HOST)
    teacher = HOST, str(tmp_path / 'weights.pth')
    set_distillation(cfg, DistillOptions((teacher, teacher)), own_folder=True)
    assert cfg.work_dir == f'work_dirs/{HOST}_distilled'
    (hook,) = (hook for hook in cfg.custom_hooks if hook['type'] == 'mmdas.DistillHook')
    folder = f'work_dirs/{HOST}_distilled'
    assert [files.config for files in hook.teacher] == [f'{folder}/teacher.py', f'{folder}/teacher2.py']
    assert all(Config.fromfile(files.config).model for files in hook.teacher)
    assert cfg.model == load_config(HOST).model


def test_an_online_training_averages_its_weights_once(tmp_path):
    options = DistillOptions(online=True, losses=('kl',), weights=(0.5,), views=2)
    for hooks in ([], [dict(type='EMAHook', momentum=0.01)]):
        cfg = load_config(HOST)
        cfg.custom_hooks = hooks
        set_distillation(cfg, options, own_folder=True)
        assert [hook['type'] for hook in cfg.custom_hooks] == ['EMAHook', 'mmdas.MeanTeacherHook']
        assert cfg.custom_hooks[0].get('momentum') == (0.01 if hooks else None)
        assert cfg.custom_hooks[1]['losses'] == [dict(type='mmdas.KLDistillation', weight=0.5)]
        assert cfg.work_dir == f'work_dirs/{HOST}_distilled'


def test_config_of_an_earlier_teacher_is_not_written_over(tmp_path):
    path, other = tmp_path / 'teacher.py', 'model = 2'
    assert place_of(path, other) == path
    path.write_text('model = 1')
    assert place_of(path, 'model = 1') == path
    beside = place_of(path, other)
    assert beside != path and beside.parent == tmp_path and beside.suffix == '.py'
    beside.write_text(other)
    assert place_of(path, other) == beside


def test_the_test_of_a_student_of_das_has_all_options_of_its_model(tmp_path):
    parser = Parser()
    distill.add_arguments(parser)
    given = ['--das', 'repeat', '--fusion', 'tsm', '--any-frames', '--sites', 'conv1', 'conv2']
    given += ['--cfg-options', 'model.backbone.depth=34', 'x=1', '--amp']
    words = [HOST, '--teacher', 'a.py', 'b.pth', '--work-dir', str(tmp_path), *given]
    args = parser.parse_args(words)
    args.command = 'mmdas distill', words
    tested = Parser()
    mmdas_test.add_arguments(tested)
    read = tested.parse_args(shlex.split(distill.test_command(args, 'last.pth'))[2:])
    assert (read.checkpoint, read.cfg_options) == ('last.pth', {'model.backbone.depth': 34, 'x': 1})
    assert (read.das, read.fusion, read.any_frames, read.sites) == ('repeat', 'tsm', True, ['conv1', 'conv2'])
    assert (read.frames, read.pooling) == (None, None)


@pytest.mark.slow
def test_a_config_with_the_name_of_the_teachers_file_is_refused(tmp_path, capsys):
    for name in ('teacher', 'teacher_net'):
        (tmp_path / f'{name}.py').write_text(f'_base_ = [{CONFIG!r}]\n')
    check_name(load_config(tmp_path / 'teacher_net.py'))
    assert main(['improve', str(tmp_path / 'teacher.py'), '--out', str(tmp_path / 'out')]) == 2
    assert 'rename the config' in capsys.readouterr().err


def test_numbers_are_for_all_losses_or_one_a_loss():
    both = DistillOptions((('x', 'y'),), losses=('kl', 'cwd', 'at'), temperatures=(2.0,), weights=(1.0, 5.0, 7.0))
    assert both.loss_configs() == [
        {'type': 'mmdas.KLDistillation', 'temperature': 2.0, 'weight': 1.0},
        {'type': 'mmdas.ChannelWiseDistillation', 'temperature': 2.0, 'weight': 5.0},
        {'type': 'mmdas.AttentionTransfer', 'weight': 7.0},
    ]
    assert DistillOptions((('x', 'y'),)).loss_configs() == [{'type': 'mmdas.KLDistillation'}]
    with pytest.raises(ValueError, match='2 weights for 1 losses; give one, or one a loss'):
        DistillOptions((('x', 'y'),), weights=(1.0, 2.0))
    with pytest.raises(ValueError, match=r"losses of a distillation are kl, cwd, at, got \['mse'\]"):
        DistillOptions((('x', 'y'),), losses=('mse',))
    one_each = DistillOptions((('x', 'y'),), losses=('kl', 'at', 'cwd'), temperatures=(4.0, 2.0))
    assert [config.get('temperature') for config in one_each.loss_configs()] == [4.0, None, 2.0]
    with pytest.raises(ValueError, match='3 temperatures for 2 losses; give one, or one a loss but at'):
        DistillOptions((('x', 'y'),), losses=('kl', 'at', 'cwd'), temperatures=(4.0, 2.0, 1.0))
    with pytest.raises(ValueError, match='the loss at has no temperature'):
        DistillOptions((('x', 'y'),), losses=('at',), temperatures=(2.0,))
    with pytest.raises(ValueError, match='needs a teacher'):
        DistillOptions(())


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        ({'views': 3}, 'views of the teacher must be 1 .* got 3'),
        ({'temperatures': (0.0,)}, 'temperature of a distillation must be above 0, got 0.0'),
        ({'weights': (-1.0,)}, 'weight of a distillation .* got -1.0'),
    ],
)
def test_a_number_that_nothing_takes_is_refused_before_any_file_is_read(options: dict, match: str):
    with pytest.raises(ValueError, match=match):
        DistillOptions((('gone.py', 'gone.pth'),), **options)


@pytest.mark.parametrize(
    ('arguments', 'match'),
    [
        ([], 'needs a teacher: give --teacher CONFIG CHECKPOINT, or --online'),
        (['--online', '--cache'], '--cache does not go with --online'),
        (['--teacher', HOST, 'gone.pth', '--online'], '--teacher does not go with --online'),
        (['--teacher', HOST, 'gone.pth'], 'there is no checkpoint gone.pth'),
        (['--teacher', HOST, 'gone.pth', '--teacher-fusion', 'tsm'], '--teacher-fusion goes with --teacher-das'),
        (['--teacher', HOST, 'gone.pth', '--teacher-das', 'gone.json'], 'there is no file gone.json'),
        (['--teacher', HOST, 'gone.pth', '--weight', '1', '2'], '2 weights for 1 losses'),
    ],
)
def test_a_slip_is_one_line(arguments, match, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(['distill', HOST, *arguments])
    except SystemExit as end:
        code = end.code
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 2
    assert match in line


@pytest.mark.slow
def test_weights_that_do_not_fit_the_teacher_are_one_line(scenes, tmp_path, capsys):
    weights = save_weights(tmp_path / 'das.pth', load_config(CONFIG, das='repeat', options=DASOptions(2, 'tsm')))
    arguments = ['distill', CONFIG, '--teacher', CONFIG, weights, '--work-dir', str(tmp_path / 'run')]
    assert main([*arguments, '--cfg-options', *scenes]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmdas distill: '))
    assert f'the teacher {weights}: was trained on clips of several frames' in line
    assert '--teacher-das POLICY.json' in line and '--accept-difference' not in line
    assert main([*arguments, '--teacher-das', 'repeat', '--teacher-frames', '2', '--cfg-options', *scenes]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmdas distill: '))
    assert 'and was' in line and '--teacher-fusion' in line and '--accept-difference' not in line
