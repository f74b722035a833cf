"""Train or search, as the config says: ``python tools/train.py CONFIG``, the same as ``mmdas train``."""

import sys

from mmdas.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('train'))
