"""Say in one screen what is installed, what is wrong, and the command that mends it: ``python tools/check_env.py``.

Exit code 1 if something is wrong; ``--before-install`` has one more, for an environment to leave as it is. It needs
the standard library only, so that it runs in a broken environment.
"""

from __future__ import annotations  # so that an interpreter that is too old still says so

import argparse
import importlib
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

# Module -> (maintained distribution, classic ones). They share the module's folder, so one overwrites the other.
TOOLBOXES = {
    'mmengine': ('onedl-mmengine', ('mmengine', 'mmengine-lite')),
    'mmcv': ('onedl-mmcv', ('mmcv', 'mmcv-full', 'mmcv-lite')),
    'mmseg': ('onedl-mmsegmentation', ('mmsegmentation',)),
    'mmpretrain': ('onedl-mmpretrain', ('mmpretrain',)),
}
OPENCV = ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python', 'opencv-contrib-python-headless')
# What mmdas, its demo and its tests need besides the toolboxes and what these require.
OTHERS = ('matplotlib', 'pillow', 'rich', 'scikit-learn', 'pytest', 'pytest-xdist', 'ruff', 'mypy')
MINIMUM_PYTHON = (3, 10)
PIP = f'{"python" if shutil.which("python") == sys.executable else sys.executable} -m pip'
MIM = f'{PIP} install openmim && mim'  # finds the builds of classic mmcv with compiled ops
# Exit codes of --before-install; argparse has 2, and the Makefile knows 3.
BEFORE_INSTALL_CODES = {'ok': 0, 'FAIL': 1, 'keep': 3}


@dataclass(frozen=True)
class Result:
    """What a check found: status ``ok``, ``warn`` or ``FAIL``, a line of text, and the command that mends it.

    The check before an installation may also say ``keep``: install nothing, leave all as it is.
    """

    status: str
    text: str
    remedy: str = ''

    def __str__(self) -> str:
        line = f'{self.status:4}  {self.text}'
        return f'{line}\n      -> {self.remedy}' if self.remedy else line


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def installed(distributions: Iterable[str]) -> list[str]:
    """Those of the distributions that are installed."""
    return [name for name in distributions if version_of(name) is not None]


def import_error(module: str) -> str | None:
    """First line of what goes wrong on importing a module, or None."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken environment raises anything: ImportError, AssertionError, OSError, ...
        return f'{type(error).__name__}: {error}'.splitlines()[0]
    return None


def is_found(module: str) -> bool:
    """Whether a module exists; finding an inner one imports the package around it, which may fail."""
    try:
        return find_spec(module) is not None
    except Exception:
        return False


def nvidia_gpu_present() -> bool:
    """Whether this machine has an NVIDIA GPU with a driver, whatever torch thinks."""
    if Path('/proc/driver/nvidia/version').exists():
        return True
    tool = shutil.which('nvidia-smi')
    return tool is not None and 'GPU 0' in subprocess.run([tool, '-L'], capture_output=True, text=True).stdout


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Result:
    """Whether the interpreter is new enough."""
    text = f'Python {".".join(map(str, version))} ({sys.executable})'
    if version < MINIMUM_PYTHON:
        return Result('FAIL', f'{text}: mmdas needs 3.10 or newer', 'rm -rf .venv && make install PYTHON=python3.11')
    return Result('ok', text)


def check_torch() -> Result:
    """Whether torch imports, and uses the GPU where there is one."""
    error = import_error('torch')
    if error is not None:
        return Result('FAIL', f'torch: {error}', f'{PIP} install --force-reinstall torch torchvision')
    import torch

    if torch.cuda.is_available():
        return Result('ok', f'torch {torch.__version__}, GPU: {torch.cuda.get_device_name(0)}')
    build = torch.version.cuda or getattr(torch.version, 'hip', None)
    text = f'torch {torch.__version__}, {f"built for CUDA/ROCm {build}" if build else "a CPU build"}, no GPU in use'
    if not nvidia_gpu_present():
        return Result('ok', text)
    if build is None:
        remedy = f'{PIP} uninstall -y torch torchvision && {PIP} install torch torchvision'
        return Result('warn', f'{text}, though this machine has an NVIDIA GPU', remedy)
    remedy = 'nvidia-smi (compare its "CUDA Version", update the driver if it is lower), and unset CUDA_VISIBLE_DEVICES'
    return Result('warn', f'{text}, though this machine has an NVIDIA GPU', remedy)


def check_torchvision() -> Result:
    """Whether torchvision was made for this torch: each release is, for one."""
    remedy = f'{PIP} install --force-reinstall torch torchvision'
    error = import_error('torchvision.ops')
    version, torch_version = version_of('torchvision'), version_of('torch')
    requirements = (metadata.requires('torchvision') or []) if version else []
    wanted = [line for line in requirements if re.match(r'torch(?![\w-])', line)]
    text = f'torchvision {version} with torch {torch_version}'
    if error is not None:
        return Result('FAIL', f'{text}: {error}', remedy)
    if wanted and not satisfies(torch_version, wanted[0]):
        return Result('FAIL', f'{text}: it wants {wanted[0]}', remedy)
    return Result('ok', text)


def satisfies(version: str | None, requirement: str) -> bool:
    """Whether a version meets a requirement line of a distribution's metadata."""
    try:
        from packaging.requirements import Requirement
    except ImportError:  # comes with mmengine, whose own check fails then
        return True
    return version is not None and Requirement(requirement).specifier.contains(version, prereleases=True)


def check_toolbox(module: str) -> Result:
    """Which distribution provides a module of OpenMMLab, and whether two of them write the same folder."""
    maintained, classic = TOOLBOXES[module]
    present = installed([maintained, *classic])
    text = f'{module}: ' + (' and '.join(f'{name} {version_of(name)}' for name in present) or 'not installed')
    if len(present) > 1:
        others = ' '.join(name for name in present if name != maintained)
        # Uninstalling one takes files of the other with it.
        remedy = f'{PIP} uninstall -y {others} && {PIP} install --force-reinstall --no-deps {maintained}'
        return Result('FAIL', f'{text}: both write the folder {module}', remedy)
    if present:
        return Result('ok', text)
    if is_found(module):
        return Result('warn', f'{module}: on the path, but from no distribution; its version is not checked')
    return Result('FAIL', text, f'{PIP} install {maintained}')


def check_toolbox_import(module: str) -> Result:
    """Whether the models of a toolbox import; a toolbox asserts the versions of mmcv and mmengine that it takes."""
    error = import_error(f'{module}.models')
    if error is None:
        return Result('ok', f'{module}.models imports')
    return Result('FAIL', f'{module}.models: {error}', import_remedy(error))


def import_remedy(error: str) -> str:
    """Command against a failed import of a toolbox."""
    classic = installed(name for _, names in TOOLBOXES.values() for name in names)
    if not classic:
        upgrade = f'{PIP} install --upgrade {" ".join(maintained for maintained, _ in TOOLBOXES.values())}'
        return upgrade if error.startswith('AssertionError') else f'mend the lines above first, then {upgrade}'
    asked = re.search(r'install (mm\w+)\s*(>=?\d[\w.]*)\s*,\s*(<=?\d[\w.]*\w)', error)
    if asked:
        tool = MIM if asked[1] == 'mmcv' else PIP
        return f'{tool} install "{asked[1]}{asked[2]},{asked[3]}"'
    if 'mmcv._ext' in error:
        return f'{PIP} uninstall -y {" ".join(installed(TOOLBOXES["mmcv"][1]))} && {MIM} install mmcv'
    if 'pkg_resources' in error:
        return f'{PIP} install "setuptools<81"'
    return f'{PIP} uninstall -y {" ".join(classic)} && {PIP} install -e .'


def check_mmcv_ops() -> Result:
    """Whether mmcv has its compiled operators, and whether that matters."""
    if not is_found('mmcv'):
        return Result('warn', 'mmcv ops: no mmcv')
    if is_found('mmcv._ext'):
        return Result('ok', 'mmcv with compiled ops')
    if installed(TOOLBOXES['mmcv'][1]):
        return Result(
            'warn', 'mmcv without compiled ops, which some models of classic mmseg need', f'{MIM} install mmcv'
        )
    return Result('ok', 'mmcv without compiled ops, which is fine: mmdas needs none')


def check_pkg_resources() -> Result:
    """Whether pkg_resources is there for those who import it."""
    if is_found('pkg_resources'):
        return Result('ok', 'pkg_resources is there')
    if installed(TOOLBOXES['mmengine'][1]):
        remedy = f'{PIP} install "setuptools<81"'
        return Result('FAIL', 'no pkg_resources, which classic mmengine imports; setuptools 81 dropped it', remedy)
    return Result('ok', 'no pkg_resources, which is fine: onedl-mmengine does without')


def check_opencv() -> Result:
    """Whether cv2 imports and comes from one distribution."""
    present = installed(OPENCV)
    text = ' and '.join(f'{name} {version_of(name)}' for name in present) or 'opencv-python: not installed'
    error = import_error('cv2')
    if error is not None and 'lib' in error and '.so' in error:
        return Result('FAIL', f'{text}: {error}', 'apt-get install -y libgl1 libglib2.0-0')
    reinstall = f'{PIP} install --force-reinstall --no-deps opencv-python'
    if len(present) > 1:
        status = 'FAIL' if error else 'warn'
        remedy = f'{PIP} uninstall -y {" ".join(present)} && {reinstall}'
        return Result(status, f'{text}: both write the folder cv2', remedy)
    return Result('FAIL', f'{text}: {error}', reinstall) if error else Result('ok', text)


def quarter_turn_labels() -> int:
    """How many of 49 labels OpenCV keeps in a quarter turn of a map of 7 x 10 pixels."""
    import cv2
    import numpy as np

    labels = np.arange(70, dtype=np.uint8).reshape(7, 10)
    turn = cv2.getRotationMatrix2D((4.5, 3.0), 90, 1.0)
    shown = cv2.warpAffine(labels, turn, (10, 7), flags=cv2.INTER_NEAREST, borderValue=255)
    return len(set(shown.flatten().tolist()) - {255})


def check_quarter_turn() -> Result:
    """Whether OpenCV keeps all labels in a quarter turn of a label map, as in mmseg's RandomRotate."""
    if import_error('cv2') is not None:
        return Result('warn', 'quarter turns of label maps: no cv2')
    kept = quarter_turn_labels()
    if kept == 49:
        return Result('ok', 'OpenCV keeps all labels in a quarter turn')
    return Result(
        'warn',
        f'OpenCV keeps {kept} of 49 labels in a quarter turn of 7 x 10 pixels, which matters to RandomRotate of mmseg',
        f'{PIP} install "opencv-python<5"',
    )


def check_mmdas() -> Result:
    """Whether mmdas imports and its configs are installed."""
    error = import_error('mmdas')
    if error is not None:
        return Result('FAIL', f'mmdas: {error}', f'{PIP} install -e .')
    import mmdas

    folder = Path(mmdas.__file__).parent
    text = f'mmdas {mmdas.__version__} ({folder})'
    if not (folder / '.mim' / 'configs').is_dir():
        return Result(
            'FAIL', f"{text}: no .mim/configs, so _base_ = ['mmdas::...'] fails", f'{PIP} install --no-deps -e .'
        )
    return Result('ok', text)


def check_before_install() -> Result:
    """Whether pip may install: not over classic distributions, of which it would leave a mixture with the others.

    Where mmdas was added beside them by hand, there is nothing to install.
    """
    classic = installed(name for _, names in TOOLBOXES.values() for name in names)
    if not classic:
        return Result('ok', 'no classic OpenMMLab distribution here, mmdas and its dependencies can be installed')
    if version_of('mmdas') is not None:
        missing = [name for name in OTHERS if version_of(name) is None]
        text = f'mmdas is installed beside {", ".join(classic)}: they are kept, nothing is installed'
        return Result('keep', text, f'{PIP} install {" ".join(missing)}' if missing else '')
    return Result(
        'FAIL',
        f'{", ".join(classic)} would be overwritten by the onedl distributions that mmdas installs',
        f'to keep them: {PIP} install --no-deps -e . && {PIP} install {" ".join(OTHERS)} ; '
        f'to replace them: {PIP} uninstall -y {" ".join(classic)} ; '
        'or use a new virtual environment',
    )


def environment_checks() -> list[Callable[[], Result]]:
    """All checks, in the order of what depends on what."""
    return [
        check_python,
        check_torch,
        check_torchvision,
        *(lambda module=module: check_toolbox(module) for module in TOOLBOXES),
        check_pkg_resources,
        check_mmcv_ops,
        check_opencv,
        check_quarter_turn,
        lambda: check_toolbox_import('mmseg'),
        lambda: check_toolbox_import('mmpretrain'),
        check_mmdas,
    ]


def report(checks: Iterable[Callable[[], Result]]) -> int:
    """Print the result of every check; the exit code."""
    failed = False
    for check in checks:
        result = check()
        print(result, flush=True)
        failed = failed or result.status == 'FAIL'
    return int(failed)


def main(arguments: list[str] | None = None) -> int:
    """Run the checks that the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(description='Check the environment of mmdas')
    parser.add_argument(
        '--before-install', action='store_true', help='only check that an installation would overwrite nothing'
    )
    args = parser.parse_args(arguments)
    warnings.simplefilter('ignore')  # what other packages warn of would push the report off the screen
    if args.before_install:
        result = check_before_install()
        print(result)
        return BEFORE_INSTALL_CODES[result.status]
    return report(environment_checks())


if __name__ == '__main__':
    sys.exit(main())
