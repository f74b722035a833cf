"""What the steps of the demo import, for the server that their processes are copied from."""

from importlib import import_module

from mmdas.noise import import_toolbox, silence_warnings

MODULES = (
    *('mmseg.models', 'mmseg.engine', 'mmseg.evaluation', 'mmseg.visualization'),
    *('mmdas.apis', 'mmdas.models', 'mmdas.models.segmentors', 'mmdas.datasets', 'mmdas.visualization'),
)

silence_warnings()
import_toolbox('mmseg')
for _module in MODULES:
    import_module(_module)
