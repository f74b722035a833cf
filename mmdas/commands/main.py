"""Find the verb, read its options, and end with one line where the user has to change something."""

import sys
from collections.abc import Sequence
from importlib import import_module

from mmdas.version import __version__

from .parser import STOPPED, CommandError, Parser, nearest

COMMANDS = {
    'train': 'train a model, as the config says; --das makes any config one of DAS',
    'search': 'search a policy, with a search config or a plain one',
    'distill': 'train a model that also learns from a trained one, and stays as cheap as it is',
    'improve': 'all of these for a plain config: the best network at its cost in a test',
    'compare': 'which augmentation or method suits your data best, within a budget of time',
    'report': 'a page about a run, or several: scores, curves, cost',
    'cost': 'how long a training takes, from some of its steps',
    'distill-data': 'label images with a trained model, for a training on them',
    'test': 'test a checkpoint and print its metrics',
    'convert': 'write the DAS configs of a plain config',
    'predict': 'predict on images and folders with a trained model',
    'analyze': 'what a model looks at, what it confuses, what it costs; the curves of its training',
    'export': 'write a trained model as ONNX or a program of torch.export, which need no toolbox',
    'stylize': 'copy a data set in other styles',
    'print-config': 'the whole config that a training runs',
    'browse': 'save a picture of the clips of some training images',
    'demo': 'the main job on an embedded data set, in under ten minutes',
    'check': 'say what is wrong with the environment, or with a config',
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``mmdas VERB ...``.

    Args:
        arguments: what stands after ``mmdas``. Default: those of the process.

    Returns:
        The exit code: 0, or 2 where the user has to change the command.
    """
    verb, *others = (sys.argv[1:] if arguments is None else arguments) or ['--help']
    if verb in ('-h', '--help'):
        print(overview())
        return 0
    if verb == '--version':
        print(f'mmdas {__version__}')
        return 0
    if verb not in COMMANDS:
        print(f'mmdas: there is no command {verb}{nearest(verb, COMMANDS)}; see mmdas --help', file=sys.stderr)
        return 2
    return run_command(verb, others, f'mmdas {verb}')


def overview() -> str:
    """The help of ``mmdas``."""
    lines = [f'  {verb:<13}{text}' for verb, text in COMMANDS.items()]
    return '\n'.join(['usage: mmdas COMMAND ...', '', *lines, '', 'mmdas COMMAND --help tells the options of one.'])


def run_command(verb: str, arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run a verb.

    Args:
        verb: one of ``COMMANDS``.
        arguments: its options. Default: those of the process.
        prog: how the user calls it, for messages. Default: as the process was started.

    Returns:
        The exit code: 0, or that of the error, which is told in one line.
    """
    module = import_module(f'mmdas.commands.{verb.replace("-", "_")}')
    parser = Parser(prog=prog or f'python {sys.argv[0]}', description=module.__doc__, example=module.EXAMPLE)
    module.add_arguments(parser)
    try:
        args = parser.parse_args(arguments)
    except (ValueError, RecursionError, AssertionError):  # of MMEngine's action: no =, a dict(...), an open bracket
        parser.error(
            '--cfg-options takes KEY=VALUE, several with spaces between them, lists as KEY="[A,B]"; a dict is given '
            'key by key, as A.B=VALUE'
        )
    args.command = parser.prog, sys.argv[1:] if arguments is None else list(arguments)
    try:
        return module.run(args) or 0
    except CommandError as error:
        message, code = str(error), error.code
    except KeyboardInterrupt:
        message, code = 'stopped', STOPPED
    print(f'{parser.prog}: {message}', file=sys.stderr)
    return code
