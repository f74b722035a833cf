"""Configs of pure Python (``with read_base()``, types as classes) for those that inherit by ``_base_``.

MMEngine does not mix the two styles in one chain of inheritance. A *twin* is a text config that reads the other one
whenever it is read itself, so that a change of the host still reaches what inherits from it.
"""

from pathlib import Path

from mmengine.config import Config

TWIN = """# {name}, a config of pure Python, as a text config; MMEngine lets no text config inherit from it directly.
_base_ = []
import os  # noqa: E402

from mmengine import Config  # noqa: E402

globals().update(Config.fromfile(os.path.join('{{{{ fileDirname }}}}', {reference!r})).to_dict())
del Config
"""


def is_pure_python(path: str | Path) -> bool:
    """Whether MMEngine reads a config in its lazy-import mode."""
    return Config._is_lazy_import(str(path))


def text_twin(reference: str) -> str:
    """Text of the twin of a pure-Python config.

    Args:
        reference: absolute path of the config, or its path from the twin's folder.
    """
    return TWIN.format(name=Path(reference).name, reference=reference)


def types_as_text(cfg: Config) -> Config:
    """The config with the full names of classes, such as ``'mmseg.models.FCNHead'``, in their place."""
    return Config(cfg.to_dict())
