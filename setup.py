"""Package metadata; the settings of the tools stand in pyproject.toml."""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent.resolve()
MIM = ROOT / 'mmdas' / '.mim'

INSTALL_REQUIRES = [
    'torch>=2.6',
    'torchvision>=0.21',
    # The maintained OpenMMLab distributions. They are pure Python (no compiler) and share their import names with the
    # classic mmengine, mmcv, mmsegmentation and mmpretrain: never install both, `tools/check_env.py` tells.
    'onedl-mmengine>=0.10.12',
    'onedl-mmcv>=2.3.6',
    'onedl-mmsegmentation>=1.4.2',
    'onedl-mmpretrain>=1.3.6',
    # Not opencv-python-headless: onedl-mmcv and onedl-mmsegmentation require opencv-python, and both distributions
    # write the same folder `cv2`, so that having the two leaves whichever was installed last.
    'opencv-python>=4.10',
    'numpy>=2.0.1',
    'scipy>=1.13',  # minimum cuts and assignments of Puzzle Mix
    'matplotlib>=3.9',
    'pillow>=10.0',
    'rich>=13.0',
    'scikit-learn>=1.5',  # brings the handwritten digits that DigitScenes is made of
]

EXTRAS_REQUIRE = {
    # What ruff formats and what mypy finds changes with their minor versions.
    'tests': ['pytest>=7.4', 'pytest-xdist>=3.8', 'ruff>=0.17.5,<0.18', 'mypy>=2.4,<2.5', 'submitit>=1.5.4'],
    # What `make docs` builds the site with.
    'docs': ['sphinx>=8.1', 'furo>=2024.8', 'myst-parser>=4.0'],
    # What `python -m benchmarks` measures mmdas against; without them it leaves these contestants out.
    'bench': ['kornia>=0.7', 'ttach>=0.0.3'],
    # What `mmdas compare --slurm` submits jobs with.
    'slurm': ['submitit>=1.5.4'],
    # What `mmdas export` writes and checks ONNX with.
    'export': ['onnx>=1.16', 'onnxscript>=0.3', 'onnxruntime>=1.18'],
}


def read_version() -> str:
    """Version of mmdas/version.py, read without importing the package."""
    namespace = {}
    exec((ROOT / 'mmdas' / 'version.py').read_text(encoding='utf-8'), namespace)
    return namespace['__version__']


def write_mim_folder() -> None:
    """Make mmdas/.mim, where MMEngine looks for the configs of ``_base_ = ['mmdas::...']``.

    Links into the source tree serve every kind of installation: an editable one reads them where they are, and a
    wheel takes the files behind them as package data.
    """
    MIM.mkdir(exist_ok=True)
    for name in ('configs', 'tools'):
        place = MIM / name
        if place.is_symlink():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(place)
        try:
            place.symlink_to(Path(os.pardir, os.pardir, name), target_is_directory=True)
        except OSError:  # Windows without the right to make links
            shutil.copytree(ROOT / name, place)
    metafiles = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs').glob('*/metafile.yml'))
    index = 'Import:\n' + ''.join(f'- {path}\n' for path in metafiles) if metafiles else 'Import: []\n'
    (MIM / 'model-index.yml').write_text(index, encoding='utf-8')


write_mim_folder()

setup(
    name='mmdas',
    version=read_version(),
    description='Image-to-video differentiable auto-augmentation and fusion (DAS) for the OpenMMLab toolboxes',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8') if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    author='mmdas contributors',
    license='Apache-2.0',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in (10, 11, 12, 13)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10',
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    packages=find_packages(include=['mmdas', 'mmdas.*']),
    entry_points={'console_scripts': ['mmdas = mmdas.commands:main']},
    package_data={'mmdas': ['py.typed', *(f'.mim/**/*.{suffix}' for suffix in ('py', 'yml', 'json', 'md', 'sh'))]},
    zip_safe=False,
)
