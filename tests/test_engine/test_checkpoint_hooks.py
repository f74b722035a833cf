"""Runs that keep their policy, and resume only checkpoints of their own model."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from records import without_records
from toy_search import NUM_FRAMES, _search, cls_model, iter_search, loader, read_log, run

from mmdas.engine.hooks.resume_check_hook import trained_on_frames
from mmdas.engine.utils import PICTURES, set_aside
from mmdas.models.settings import DifferenceError
from mmdas.search.das import Policy, agreement

FIRST, SECOND = (Policy.random(NUM_FRAMES, seed=seed) for seed in (1, 2))


def training(
    work_dir: Path, policy: str | dict | None = None, plain: bool = False, epochs: int = 1, **options
) -> Config:
    """One epoch of a classifier with a policy, or of the plain one."""
    model = cls_model()
    model['data_preprocessor'].update(cell=None, policy=policy)
    if plain:
        model['data_preprocessor'] = dict(type='ClsDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, num_classes=2)
        model['backbone'], model['head'] = model['backbone']['backbone'], model['head']['head']
    return _search(
        work_dir,
        True,
        'mmpretrain',
        model=model,
        train_dataloader=loader('PackInputs', dataset=dict(count=4)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=options.pop('custom_hooks', []),
        **options,
    )


@pytest.fixture(scope='module')
def das_run(tmp_path_factory) -> Runner:
    folder = tmp_path_factory.mktemp('das')
    FIRST.save(folder / 'found.json')
    return run(training(folder / 'run', str(folder / 'found.json'), custom_hooks=[dict(type='EMAHook')]))


@pytest.fixture(scope='module')
def plain_run(tmp_path_factory) -> Runner:
    return run(training(tmp_path_factory.mktemp('plain'), plain=True))


def newest(runner: Runner) -> Path:
    return Path(runner.work_dir, 'epoch_1.pth')


# the policy of a training


def test_a_training_keeps_the_policy_that_its_config_names(das_run):
    assert Policy.load(Path(das_run.work_dir, 'policy.json')) == FIRST


def test_a_plain_training_keeps_no_policy(plain_run):
    assert not list(Path(plain_run.work_dir).glob('*.json'))


@pytest.mark.parametrize(('there', 'expected'), [(FIRST, {'policy.json'}), (SECOND, {'policy.json', 'policy_1.json'})])
@pytest.mark.slow
def test_another_policy_in_the_work_dir_keeps_its_content_under_another_name(tmp_path, there, expected):
    there.save(tmp_path / 'policy.json')
    runner = run(training(tmp_path, FIRST.to_dict()))
    assert {path.name for path in tmp_path.glob('*.json')} == expected
    assert Policy.load(tmp_path / 'policy.json') == FIRST
    assert Policy.load(tmp_path / sorted(expected)[-1]) == there
    assert ('policy_1.json' in read_log(runner)) == (there is SECOND)


@pytest.mark.slow
def test_a_second_search_keeps_the_policy_and_pictures_of_the_first(tmp_path):
    short = dict(max_iters=1, warmup_iters=0, selection=dict(type='mmdas.ArgmaxSelection'))
    run(iter_search(tmp_path, train_cfg=short), pictures=True)
    first = Policy.load(tmp_path / 'policy.json')
    runner = run(iter_search(tmp_path, train_cfg=short, randomness=dict(seed=5)), pictures=True)
    assert Policy.load(tmp_path / 'policy_1.json') == first
    assert {path.name for path in tmp_path.glob('policy*')} == {
        f'policy{number}{ending}' for number in ('', '_1') for ending in ('.json', *PICTURES)
    }
    assert 'the earlier policy is now' in read_log(runner)
    found = agreement([Policy.load(tmp_path / 'policy.json'), first])
    assert f'1 earlier searches in this folder: {found}' in read_log(runner)


def test_names_that_are_taken_are_passed_over(tmp_path):
    for name in ('policy.json', 'policy_1.json'):
        (tmp_path / name).write_text(name)
    assert set_aside(tmp_path / 'policy.json') == tmp_path / 'policy_2.json'
    assert (tmp_path / 'policy_2.json').read_text() == 'policy.json'
    assert set_aside(tmp_path / 'policy.json') is None


# resume


def test_a_resumed_training_has_the_policy_of_the_checkpoint_where_the_file_is_gone(das_run, tmp_path):
    config = training(tmp_path, 'gone.json', epochs=2, custom_hooks=[dict(type='EMAHook')])
    resumed = run(config, newest(das_run))
    assert resumed.epoch == 2
    assert Policy.load(tmp_path / 'policy.json').content() == FIRST.content()


def test_a_training_resumed_with_another_policy_is_refused(das_run, tmp_path):
    with pytest.raises(ValueError, match=r'data_preprocessor\.policy\..* was .*--accept-difference'):
        run(training(tmp_path, SECOND.to_dict(), epochs=2), newest(das_run))


def test_a_model_with_frames_does_not_resume_a_plain_run(plain_run, tmp_path):
    message = (
        r'cannot resume toy_\d+.*, a model with frames, from .*epoch_1.pth, a checkpoint of a plain model \(run toy'
    )
    with pytest.raises(ValueError, match=message):
        run(training(tmp_path, FIRST.to_dict(), epochs=2), newest(plain_run))


def test_a_plain_model_does_not_resume_a_run_with_frames(das_run, tmp_path):
    message = r'a plain model, from .*epoch_1.pth, a checkpoint of a model with frames \(run toy_'
    with pytest.raises(ValueError, match=message):
        run(training(tmp_path, plain=True, epochs=2), newest(das_run))


@pytest.mark.parametrize('accept', [False, True])
def test_weights_of_a_run_with_frames_go_into_a_plain_model_on_purpose_alone(das_run, tmp_path, accept):
    hook = dict(type='mmdas.ResumeCheckHook', accept_difference=accept)
    config = training(tmp_path, plain=True, load_from=str(newest(das_run)), custom_hooks=[hook])
    if accept:
        run(config)
    else:
        with pytest.raises(DifferenceError, match='the config is that of a plain model; .* --das POLICY.json'):
            run(config)


def test_weights_of_a_plain_run_start_a_training_with_frames(plain_run, tmp_path):
    runner = run(training(tmp_path, FIRST.to_dict(), load_from=str(newest(plain_run))))
    assert 'match exactly' not in read_log(runner)


def start_of_gsf(checkpoint: Path, work_dir: Path) -> str:
    """Log of a training with GSF from a checkpoint."""
    config = training(work_dir, FIRST.to_dict(), load_from=str(checkpoint))
    config.model.backbone.fusion = dict(type='mmdas.GateShiftFuse')
    return read_log(run(config))


def test_new_fusion_is_one_line_when_plain_weights_are_loaded(plain_run, tmp_path, capsys):
    log = start_of_gsf(newest(plain_run), tmp_path)
    assert 'the checkpoint is of a plain model: backbone.fusion new, all else is loaded' in log
    assert 'missing keys' not in capsys.readouterr().out  # where MMEngine lists them


def test_what_else_is_missing_in_plain_weights_is_still_listed(plain_run, tmp_path, capsys):
    checkpoint = torch.load(newest(plain_run), weights_only=False)
    del checkpoint['state_dict']['head.fc.bias']
    torch.save(checkpoint, tmp_path / 'part.pth')
    log = start_of_gsf(tmp_path / 'part.pth', tmp_path)
    assert 'backbone.fusion new, what else differs follows' in log
    assert 'missing keys in source state_dict: head.fc.bias\n' in capsys.readouterr().out


@pytest.mark.parametrize('frames', [1, 4])
def test_an_older_checkpoint_is_told_by_the_config_that_it_holds(frames):
    text = f"model = dict(data_preprocessor=dict(num_frames={frames}, type='mmdas.DASSegDataPreProcessor'))"
    assert trained_on_frames({'state_dict': {}, 'meta': {'cfg': text}}) == (frames > 1)
    assert not trained_on_frames({'state_dict': {}, 'meta': {'cfg': 'num_frames = 4'}})


def test_a_checkpoint_of_an_older_release_is_resumed(das_run, tmp_path):
    checkpoint = torch.load(newest(das_run), weights_only=False)
    checkpoint['state_dict'] = without_records(das_run.model)
    checkpoint.pop('ema_state_dict')
    torch.save(checkpoint, tmp_path / 'old.pth')
    assert run(training(tmp_path, FIRST.to_dict(), epochs=2), tmp_path / 'old.pth').epoch == 2
