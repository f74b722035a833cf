"""The main job on an embedded data set: ``python tools/demo.py``, the same as ``mmdas demo``."""

import sys

from mmdas.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('demo'))
