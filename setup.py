"""Package metadata; the settings of the tools stand in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_version() -> str:
    """Version of mmdas/version.py, read without importing the package."""
    namespace = {}
    exec((ROOT / 'mmdas' / 'version.py').read_text(), namespace)
    return namespace['__version__']


setup(
    name='mmdas',
    version=read_version(),
    packages=find_packages(include=['mmdas', 'mmdas.*']),
)
