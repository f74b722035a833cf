import importlib.util
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[2] / 'tools/check_env.py'
ONEDL = {
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmsegmentation': '1.4.2',
    'onedl-mmpretrain': '1.3.6',
}
CLASSIC = {'mmengine': '0.10.7', 'mmcv': '2.2.0', 'mmsegmentation': '1.2.2', 'mmpretrain': '1.2.0'}


@pytest.fixture
def check_env(monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location('check_env', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'check_env', module)  # where dataclasses looks for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pretend(check_env, monkeypatch: pytest.MonkeyPatch):
    """Make up an environment: installed distributions, modules that can be found, modules that fail to import."""

    def version(distributions: dict[str, str], name: str) -> str:
        if name not in distributions:
            raise metadata.PackageNotFoundError(name)
        return distributions[name]

    def setup(distributions: dict[str, str], modules: tuple = (), errors: dict[str, str] | None = None) -> None:
        monkeypatch.setattr(metadata, 'version', lambda name: version(distributions, name))
        monkeypatch.setattr(check_env, 'find_spec', lambda name: name if name in modules else None)
        monkeypatch.setattr(check_env, 'import_error', lambda name: (errors or {}).get(name))

    return setup


def fake_torch(monkeypatch: pytest.MonkeyPatch, cuda: str | None, available: bool) -> None:
    torch = SimpleNamespace(
        __version__='2.9.0',
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(is_available=lambda: available, get_device_name=lambda index: 'GPU A'),
    )
    monkeypatch.setitem(sys.modules, 'torch', torch)


def test_python_older_than_supported_fails(check_env):
    assert check_env.check_python((3, 9, 18)).status == 'FAIL'
    assert check_env.check_python((3, 10, 0)).status == 'ok'


@pytest.mark.parametrize(
    ('cuda', 'available', 'gpu', 'status', 'text'),
    [
        ('12.8', True, True, 'ok', 'GPU A'),
        ('12.8', False, False, 'ok', 'no GPU in use'),
        (None, False, False, 'ok', 'CPU build'),
        (None, False, True, 'warn', 'CPU build, no GPU in use, though this machine has an NVIDIA GPU'),
        ('12.8', False, True, 'warn', '12.8, no GPU in use, though this machine has an NVIDIA GPU'),
    ],
)
def test_torch_is_judged_by_its_build_and_the_gpu(check_env, pretend, monkeypatch, cuda, available, gpu, status, text):
    pretend({})
    fake_torch(monkeypatch, cuda, available)
    monkeypatch.setattr(check_env, 'nvidia_gpu_present', lambda: gpu)
    result = check_env.check_torch()
    assert result.status == status
    assert text in result.text
    assert bool(result.remedy) == (status != 'ok')


def test_torch_that_does_not_import_fails_with_the_reason(check_env, pretend):
    pretend({}, errors={'torch': 'OSError: libcudart.so.12: cannot open shared object file'})
    result = check_env.check_torch()
    assert result.status == 'FAIL'
    assert 'libcudart' in result.text


@pytest.mark.parametrize(
    ('torch', 'wanted', 'error', 'status'),
    [
        ('2.9.0+cu128', 'torch==2.9.0', None, 'ok'),
        ('2.9.0', 'torch (>=2.8.0)', None, 'ok'),
        ('2.10.0', 'torch==2.9.0', None, 'FAIL'),
        ('2.9.0', 'torch==2.9.0', 'RuntimeError: operator torchvision::nms does not exist', 'FAIL'),
    ],
)
def test_torchvision_must_fit_torch(check_env, pretend, monkeypatch, torch, wanted, error, status):
    pretend({'torch': torch, 'torchvision': '0.24.0'}, errors={'torchvision.ops': error})
    monkeypatch.setattr(metadata, 'requires', lambda name: ['numpy', "torch-extras==1; extra == 'x'", wanted])
    result = check_env.check_torchvision()
    assert result.status == status
    assert (error or 'torchvision 0.24.0') in result.text


def test_each_toolbox_is_named_with_its_distribution(check_env, pretend):
    pretend(ONEDL)
    results = [check_env.check_toolbox(module) for module in check_env.TOOLBOXES]
    assert {result.status for result in results} == {'ok'}
    assert 'mmseg: onedl-mmsegmentation 1.4.2' in [result.text for result in results]


def test_classic_toolboxes_alone_are_fine(check_env, pretend):
    pretend(CLASSIC)
    assert {check_env.check_toolbox(module).status for module in check_env.TOOLBOXES} == {'ok'}


def test_classic_beside_maintained_fails_and_the_remedy_restores_the_maintained_one(check_env, pretend):
    pretend({**ONEDL, 'mmcv-lite': '2.1.0'})
    result = check_env.check_toolbox('mmcv')
    assert result.status == 'FAIL'
    assert 'onedl-mmcv 2.3.6 and mmcv-lite 2.1.0' in result.text
    assert 'uninstall -y mmcv-lite' in result.remedy
    assert result.remedy.endswith('--force-reinstall --no-deps onedl-mmcv')


def test_missing_toolbox_fails_and_one_without_distribution_is_warned_of(check_env, pretend):
    pretend({}, modules=('mmseg',))
    assert check_env.check_toolbox('mmcv').status == 'FAIL'
    assert check_env.check_toolbox('mmcv').remedy.endswith('install onedl-mmcv')
    assert check_env.check_toolbox('mmseg').status == 'warn'


def test_version_refused_by_an_assertion_gives_the_command_of_its_range(check_env, pretend):
    error = 'AssertionError: MMCV==2.2.0 is used but incompatible. Please install mmcv>=2.0.0rc4, <2.2.0.'
    pretend(CLASSIC, errors={'mmseg.models': error})
    result = check_env.check_toolbox_import('mmseg')
    assert result.status == 'FAIL'
    assert 'MMCV==2.2.0 is used but incompatible' in result.text
    assert result.remedy.endswith('install "mmcv>=2.0.0rc4,<2.2.0"')


def test_version_refused_among_maintained_toolboxes_upgrades_all_four(check_env, pretend):
    pretend(ONEDL, errors={'mmpretrain.models': 'AssertionError: MMCV==2.4.0 is used but incompatible.'})
    remedy = check_env.check_toolbox_import('mmpretrain').remedy
    assert all(name in remedy for name in ONEDL)


@pytest.mark.parametrize(
    ('distributions', 'modules', 'status', 'text'),
    [
        (CLASSIC, ('mmcv', 'mmcv._ext'), 'ok', 'with compiled ops'),
        (ONEDL, ('mmcv',), 'ok', 'without compiled ops, which is fine'),
        ({'mmcv-lite': '2.1.0'}, ('mmcv',), 'warn', 'without compiled ops'),
    ],
)
def test_missing_ops_matter_to_classic_mmcv_only(check_env, pretend, distributions, modules, status, text):
    pretend(distributions, modules)
    result = check_env.check_mmcv_ops()
    assert result.status == status
    assert text in result.text


@pytest.mark.parametrize(
    ('distributions', 'modules', 'status'),
    [(ONEDL, (), 'ok'), (CLASSIC, (), 'FAIL'), (CLASSIC, ('pkg_resources',), 'ok')],
)
def test_missing_pkg_resources_matters_to_classic_mmengine_only(check_env, pretend, distributions, modules, status):
    pretend(distributions, modules)
    assert check_env.check_pkg_resources().status == status


@pytest.mark.parametrize(
    ('distributions', 'error', 'status', 'remedy'),
    [
        ({'opencv-python': '4.12'}, None, 'ok', ''),
        ({'opencv-python': '4.12', 'opencv-python-headless': '4.11'}, None, 'warn', 'uninstall -y opencv-python '),
        ({'opencv-python': '4.12', 'opencv-python-headless': '4.11'}, 'ImportError: x', 'FAIL', 'uninstall -y'),
        ({'opencv-python': '4.12'}, 'ImportError: libGL.so.1: cannot open shared object file', 'FAIL', 'libgl1'),
        ({}, "ModuleNotFoundError: No module named 'cv2'", 'FAIL', 'install --force-reinstall --no-deps opencv-python'),
    ],
)
def test_opencv_must_come_from_one_distribution(check_env, pretend, distributions, error, status, remedy):
    pretend(distributions, errors={'cv2': error})
    result = check_env.check_opencv()
    assert result.status == status
    assert remedy in result.remedy


@pytest.mark.parametrize(('kept', 'status'), [(49, 'ok'), (16, 'warn')])
def test_opencv_that_loses_labels_is_named(check_env, pretend, monkeypatch, kept, status):
    pretend({'opencv-python': '5.0.0.93'})
    monkeypatch.setattr(check_env, 'quarter_turn_labels', lambda: kept)
    result = check_env.check_quarter_turn()
    assert (result.status, bool(result.remedy)) == (status, status == 'warn')
    assert f'{kept} of 49' in result.text or kept == 49


def test_mmdas_without_installed_configs_fails(check_env, pretend, monkeypatch, tmp_path):
    pretend({})
    monkeypatch.setitem(sys.modules, 'mmdas', SimpleNamespace(__file__=str(tmp_path / '__init__.py'), __version__='1'))
    assert check_env.check_mmdas().status == 'FAIL'
    (tmp_path / '.mim/configs').mkdir(parents=True)
    assert check_env.check_mmdas().status == 'ok'


def test_installation_over_classic_toolboxes_is_refused(check_env, pretend, capsys):
    pretend({'mmsegmentation': '1.2.2'})
    assert check_env.main(['--before-install']) == 1
    assert 'mmsegmentation would be overwritten' in capsys.readouterr().out


def test_classic_toolboxes_with_mmdas_beside_them_are_kept(check_env, pretend, capsys):
    pretend({**CLASSIC, 'mmdas': '1', **dict.fromkeys(check_env.OTHERS, '1')})
    assert check_env.main(['--before-install']) == 3
    output = capsys.readouterr().out
    assert 'nothing is installed' in output
    assert '->' not in output


def test_kept_environment_is_told_what_it_lacks(check_env, pretend):
    others = [name for name in check_env.OTHERS if name not in ('rich', 'ruff')]
    pretend({**CLASSIC, 'mmdas': '1', **dict.fromkeys(others, '1')})
    assert check_env.check_before_install().remedy.endswith('install rich ruff')


@pytest.mark.parametrize('distributions', [{}, ONEDL])
def test_installation_into_other_environments_goes_on(check_env, pretend, distributions):
    pretend(distributions)
    assert check_env.main(['--before-install']) == 0


@pytest.mark.skipif(shutil.which('make') is None, reason='there is no make')
@pytest.mark.parametrize(('status', 'code', 'pip'), [(0, 0, True), (3, 0, False), (1, 2, False)])
def test_make_installs_only_where_the_check_says_so(tmp_path, status, code, pip):
    python = tmp_path / 'bin' / 'python'  # writes its arguments down; the check ends with the status
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\ncase "$1" in *check_env.py) exit {status};; esac\n')
    python.chmod(0o755)
    command = ['make', '-C', str(SCRIPT.parents[1]), 'install', f'VIRTUAL_ENV={tmp_path}']
    assert subprocess.run(command, capture_output=True).returncode == code
    assert ('-m pip install' in (tmp_path / 'log').read_text()) == pip
    assert (tmp_path / '.mmdas-installed').exists() == pip


@pytest.mark.parametrize(('statuses', 'code'), [(('ok', 'warn'), 0), (('ok', 'FAIL', 'ok'), 1)])
def test_exit_code_tells_failures_only_and_every_check_is_shown(check_env, capsys, statuses, code):
    checks = [lambda status=status: check_env.Result(status, 'text', 'remedy') for status in statuses]
    assert check_env.report(checks) == code
    assert capsys.readouterr().out.count('-> remedy') == len(statuses)


def test_report_needs_the_standard_library_only():
    command = [sys.executable, '-I', '-S', str(SCRIPT)]  # -S: no site-packages
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 1
    assert finished.stderr == ''
    assert 'FAIL  mmseg: not installed' in finished.stdout


@pytest.mark.slow
def test_test_environment_itself_passes():
    finished = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout
    assert len(finished.stdout.splitlines()) < 24  # one screen
