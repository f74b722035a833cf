"""What the steps of the demo import, for the server that their processes are copied from."""

from importlib import import_module

from mmdas.noise import import_toolbox, silence_warnings

silence_warnings()
import_toolbox('mmseg')
for _module in (
    'mmseg.models',
    'mmseg.engine',
    'mmseg.evaluation',
    'mmseg.visualization',
    'mmdas.apis',
    'mmdas.models',
):
    import_module(_module)
