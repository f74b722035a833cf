"""What the steps of a demo or a comparison import, for the server that their processes are copied from."""

import os
from importlib import import_module

from mmdas.noise import import_toolbox, silence_warnings

TOOLBOX = os.environ.get('MMDAS_STEP_TOOLBOX', 'mmseg')  # which is set before the server starts
MODULES = (
    *(f'{TOOLBOX}.{part}' for part in ('models', 'engine', 'evaluation', 'visualization')),
    *('mmdas.apis', 'mmdas.models', 'mmdas.datasets', 'mmdas.visualization'),
    *(['mmdas.models.segmentors'] if TOOLBOX == 'mmseg' else []),
)

silence_warnings()
import_toolbox(TOOLBOX)
for _module in MODULES:
    import_module(_module)
