"""Test a checkpoint and print its metrics: ``python tools/test.py CONFIG CHECKPOINT``, the same as ``mmdas test``."""

import sys

from mmdas.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('test'))
