"""Save some clips: ``python tools/visualization/browse_clip.py CONFIG``, the same as ``mmdas browse``."""

import sys

from mmdas.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('browse'))
