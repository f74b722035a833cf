"""Say what is wrong with the environment, and the command that mends it.

With CONFIG, also what this config says and does not do, and the faults of the toolboxes that it would meet.
"""

import runpy
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from .parser import told_in_one_line

# A script of its own, for environments in which mmdas cannot be imported.
SCRIPT = Path(__file__).parents[1] / '.mim' / 'tools' / 'check_env.py'
EXAMPLE = 'mmdas check my_config.py'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument('config', nargs='?', help='file, or name of an installed config (default: none)')


def run(args: Namespace) -> int:
    """Run all checks; the exit code.

    Raises:
        CommandError: if there is no such config.
    """
    script = runpy.run_path(str(SCRIPT), run_name='check_env')
    code: int = script['main']([])
    if args.config is not None:
        with told_in_one_line():
            print('\n'.join(map(str, check_config(args.config, script['Result']))))
    return code


def check_config(config: str, result: Any) -> list[Any]:
    """What a config says and does not do, and the known faults that it would meet, as results of the script."""
    from mmdas.apis import find_config, find_slips, known_faults, read_config
    from mmdas.apis.config_files import require_content

    path = find_config(config)[0]
    cfg = read_config(path)
    require_content(cfg, config)
    faults = [*find_slips(cfg, path), *known_faults(cfg)]
    found = [result('warn', f'{fault.place}: {fault.text}', fault.remedy) for fault in faults]
    return found or [
        result('ok', f'{config}: no slip was found in it, and it meets none of the known faults of the toolboxes')
    ]
