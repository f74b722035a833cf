"""Write the DAS configs of a plain config: ``python tools/misc/add_das.py CONFIG``, the same as ``mmdas convert``."""

import sys

from mmdas.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('convert'))
