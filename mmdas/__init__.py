"""mmdas: image-to-video differentiable auto-augmentation and fusion (DAS) for the OpenMMLab toolboxes.

Importing the package makes the scope ``mmdas`` known to MMEngine, so that ``type='mmdas.X'`` works in a config of any
OpenMMLab toolbox and ``_base_ = ['mmdas::...']`` finds the installed configs.
"""

from importlib.util import find_spec

from .version import __version__

if find_spec('mmengine') is not None:  # ``mmdas.ops`` and ``mmdas.search`` do without it
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.utils import is_installed

    MODULE2PACKAGE.setdefault('mmdas', 'mmdas')
    # MMEngine looks for installed configs under a distribution's name. The maintained distribution of MMSegmentation
    # has another name than the classic one but the same module, and MMEngine accepts a module's name in its place.
    if not is_installed(MODULE2PACKAGE['mmseg']) and find_spec('mmseg') is not None:
        MODULE2PACKAGE['mmseg'] = 'mmseg'

__all__ = ['__version__']
