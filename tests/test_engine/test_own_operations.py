"""From a user's file with operations to a search, a policy, a training with it and pictures, by the commands."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from own_operations import forget, forgotten_afterwards, write_module
from toy_search import NUM_FRAMES, cell_config, iter_search, loader, quick_configs, seg_model, selection_config

from mmdas.apis import build_runner, load_config, read_config
from mmdas.commands import run_command
from mmdas.models.settings import DifferenceError
from mmdas.search.das import OPERATIONS, Policy, PolicyClip, PolicyEdge

OWN = {'vignette', 'widen'}
MODULE = dict(imports=['my_operations'])


def write_config(path: Path, config: Config) -> None:
    path.write_text('\n'.join(f'{key} = {value!r}' for key, value in config.to_dict().items()))


def search_config(**options) -> Config:
    model = seg_model(cell_config(space=sorted(OWN), ranges=dict(widen=(-0.1, 0.1))))
    return iter_search(Path('search'), model=model, train_cfg=dict(selection=selection_config(tune=0)), **options)


def training_config(**options) -> Config:
    model = seg_model()
    del model['data_preprocessor']['cell']
    model['data_preprocessor']['policy'] = 'search/policy.json'
    data = loader('PackSegInputs', sampler='InfiniteSampler')
    config = dict(
        default_scope='mmseg',
        model=model,
        train_dataloader=data,
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)),
    )
    return Config({**config, **options})


def command(*arguments: str) -> int:
    verb, *others = arguments
    with DefaultScope.overwrite_default_scope('mmseg'):
        return run_command(verb, others)


@pytest.fixture(scope='module')
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder after the search, and after the training with its policy."""
    folder = tmp_path_factory.mktemp('project')
    with pytest.MonkeyPatch.context() as patch, forgotten_afterwards():
        patch.chdir(folder)
        write_module(folder)
        write_config(folder / 'search.py', search_config(custom_imports=MODULE))
        write_config(folder / 'das.py', training_config(custom_imports=MODULE))
        write_config(folder / 'unaware.py', training_config())
        with quick_configs():
            assert command('search', 'search.py') == 0
        assert command('train', 'das.py', '--work-dir', 'das') == 0
        yield folder


@pytest.fixture(autouse=True)
def fresh_process(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts as a new process does, in the folder of the project."""
    monkeypatch.chdir(project)
    forget()
    with forgotten_afterwards():
        yield


def failure(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    assert command(*arguments) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_search_ends_with_a_policy_of_own_operations_and_its_pictures(project: Path) -> None:
    edges = json.loads((project / 'search/policy.json').read_text())['edges']
    assert edges and {edge['operation'] for edge in edges} <= OWN
    assert (project / 'search/policy.png').is_file() and (project / 'search/policy_mixtures.png').is_file()


def test_training_keeps_the_policy_and_the_module_in_its_work_directory(project: Path) -> None:
    load_config('das/das.py')  # registers
    assert Policy.load('das/policy.json').content() == Policy.load('search/policy.json').content()


def test_checkpoint_loads_with_its_config_even_without_the_file_of_the_policy(project: Path) -> None:
    cfg = load_config(
        'das/das.py', cfg_options={'model.data_preprocessor.policy': 'gone.json', 'load_from': 'das/iter_2.pth'}
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        runner = build_runner(cfg)
        runner.load_or_resume()
    clip = runner.model.data_preprocessor.policy
    assert isinstance(clip, PolicyClip) and clip.policy.content() == Policy.load('search/policy.json').content()
    assert clip(torch.rand(1, 3, 16, 16)).shape == (1, 3 * NUM_FRAMES, 16, 16)


@pytest.mark.slow
def test_resumed_search_ends_with_the_same_policy(project: Path) -> None:
    options = ['--cfg-options', 'experiment_name=again', '--work-dir', 'again']
    with quick_configs():
        assert command('search', 'search.py', *options, '--resume', 'search/iter_4.pth') == 0
    assert Policy.load('again/policy.json').content() == Policy.load('search/policy.json').content()


def test_clips_of_the_policy_are_drawn(project: Path) -> None:
    assert command('browse', 'das.py', '--num', '2', '--out', 'clip.png') == 0
    assert (project / 'clip.png').is_file()


def test_option_of_the_command_names_the_module_for_a_config_that_does_not(project: Path) -> None:
    option = 'custom_imports.imports=[my_operations]'
    assert command('browse', 'unaware.py', '--out', 'option.png', '--cfg-options', option) == 0


def test_config_of_pure_python_names_the_module_too(project: Path) -> None:
    base = 'from mmengine.config import read_base\nwith read_base():\n    from .base import *\n'
    (project / 'base.py').write_text('x = 1\n')
    (project / 'pure.py').write_text(f'{base}custom_imports = {MODULE}\n')
    read_config('pure.py')
    assert set(OPERATIONS) >= OWN


@pytest.mark.parametrize('verb', ['train', 'browse'])
def test_config_without_the_module_is_told_which_operation_it_lacks(verb: str, capsys: pytest.CaptureFixture) -> None:
    line = failure(capsys, verb, 'unaware.py')
    assert 'search/policy.json: operations holds [' in line and 'vignette' in line
    assert 'custom_imports of the config must name the module that registers it (docs/operations.md)' in line


def test_checkpoint_whose_operations_are_unknown_is_told_so(capsys: pytest.CaptureFixture) -> None:
    options = ['--cfg-options', 'model.data_preprocessor.policy=gone.json', 'load_from=das/iter_2.pth']
    line = failure(capsys, 'train', 'unaware.py', '--work-dir', 'unaware', *options)
    assert 'the policy of the checkpoint: edges[0].operation is ' in line
    assert 'custom_imports of the config must name the module' in line


def test_search_whose_operations_are_unknown_is_told_so_before_it_starts(project: Path, capsys) -> None:
    write_config(project / 'unaware_search.py', search_config())
    line = failure(capsys, 'search', 'unaware_search.py', '--work-dir', 'unaware')
    assert "model.data_preprocessor.cell: unknown operation 'widen'" in line


@pytest.mark.parametrize(
    ('change', 'refused'),
    [(('x**2 + y**2', 'x**2 + y**4'), 'vignette'), (('* (1 - shade)', '* (1.00001 - shade)'), None)],
)
def test_checkpoint_is_refused_where_a_function_does_something_else_by_now(project: Path, change, refused) -> None:
    load_config('das/das.py')
    edges = [PolicyEdge(0, 2, 'vignette', 0.1), PolicyEdge(1, 2, 'widen', 0.1)]
    content = Policy(NUM_FRAMES, 1, tuple(edges)).to_dict()
    saved = build_preprocessor(content).state_dict()
    forget()
    text = (project / 'my_operations.py').read_text()
    exec(compile(text.replace(*change), 'my_operations.py', 'exec'), {'__name__': 'my_operations'})
    now = build_preprocessor(content)
    if refused is None:
        now.load_state_dict(saved)
    else:
        with pytest.raises(DifferenceError, match=rf'data_preprocessor.own_operations.{refused}.\d+ is .* and was '):
            now.load_state_dict(saved)


def test_order_of_the_edges_in_a_file_is_no_difference() -> None:
    load_config('das/das.py')
    edges = [PolicyEdge(0, 2, 'widen', 0.1), PolicyEdge(1, 2, 'widen', -0.1), PolicyEdge(0, 3, 'widen', 0.05)]
    first, second = (Policy(NUM_FRAMES, 2, (*order, PolicyEdge(2, 3, 'rotate', 1.0))) for order in (edges, edges[::-1]))
    build_preprocessor(second.to_dict()).load_state_dict(build_preprocessor(first.to_dict()).state_dict())


def build_preprocessor(policy: dict) -> torch.nn.Module:
    options = training_config().model.data_preprocessor
    return MODELS.build({**options, 'policy': policy})


def test_module_that_is_not_there_is_told_with_the_remedy(project: Path, capsys: pytest.CaptureFixture) -> None:
    write_config(project / 'slip.py', training_config(custom_imports=dict(imports=['my_operation'])))
    line = failure(capsys, 'train', 'slip.py')
    assert "custom_imports of the config: Failed to import my_operation (No module named 'my_operation')" in line
    assert 'run the command in the folder of the module, or name that folder in PYTHONPATH' in line


def test_module_with_a_wrong_function_stops_the_command_in_one_line(project: Path, capsys) -> None:
    text = (project / 'my_operations.py').read_text()
    (project / 'wrong.py').write_text(text.replace('images * (1 - shade)', 'images * (0.9 - shade)'))
    write_config(project / 'wrong_config.py', training_config(custom_imports=dict(imports=['wrong'])))
    assert "operation 'vignette' (wrong.vignette): its result at magnitudes 0 and 0" in failure(
        capsys, 'train', 'wrong_config.py'
    )


@pytest.mark.slow
def test_plain_config_becomes_one_of_das_with_a_policy_of_own_operations(project: Path) -> None:
    """``--das POLICY`` asks the policy for its frames before the config is converted."""
    host = Path(__file__).parents[2] / 'configs/digit_scenes/fcn_r18-d4_digits-48x48.py'
    (project / 'plain.py').write_text(f"_base_ = ['{host}']\ncustom_imports = dict(imports=['my_operations'])\n")
    assert command('convert', 'plain.py', '--policy', 'search/policy.json', '--out-dir', 'converted') == 0
    cfg = load_config(f'converted/das-{NUM_FRAMES}f-gsf_plain.py')
    assert cfg.custom_imports.imports == ['my_operations']
    assert cfg.model.data_preprocessor.num_frames == NUM_FRAMES
    shutil.rmtree('converted')
