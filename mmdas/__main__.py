"""``python -m mmdas``: the command ``mmdas``."""

import sys

from mmdas.commands import main

if __name__ == '__main__':
    sys.exit(main())
