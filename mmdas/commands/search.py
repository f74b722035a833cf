"""Search a policy for a model and its data, with a plain config or a search config.

Methods: das, the clip of DAS; and three that find how images are augmented: ddas, how often and with which operations;
dada, with which pairs of operations; faster-aa, with which of ten sub-policies. And tta: which views of an image a
trained model averages in a test; nothing is trained.
"""

import shlex
from argparse import ArgumentParser, Namespace

from . import search_tta, train
from .parser import told_in_one_line
from .run_options import FAST, conversion_words

METHODS = ('das', 'ddas', 'dada', 'faster-aa', 'tta')
EXAMPLE = 'mmdas search my_config.py --method ddas --budget 1h'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options, which are those of a training and of each method."""
    train.add_arguments(parser)
    parser.add_argument('--method', choices=METHODS, help='what is searched (default: das)')
    parser.add_argument(
        '--budget',
        metavar='TIME',
        help='about how long the search may take, such as 30m or 2h; it measures some steps first (default: a tenth of '
        "the training's iterations)",
    )
    parser.add_argument(
        '--fast',
        action='store_true',
        help=FAST,
    )
    search_tta.add_arguments(parser)


def run(args: Namespace) -> None:
    """Search.

    Raises:
        CommandError: if the user has to change something, or has stopped the run.
    """
    if args.method == 'tta':
        search_tta.run(args)
        return
    from mmdas.apis import find_config, is_search, preprocessor_of, read_config

    with told_in_one_line():
        search_tta.refuse_own(args)
        check_method(args)
        cfg = read_config(find_config(args.config)[0])
        searches = is_search(cfg)
        own = 'das' if preprocessor_of(cfg).get('cell') is not None else None
        if searches and args.method not in (None, own):
            text = f'{args.config} is the config of a search already; leave it out, or give a plain one'
            raise ValueError(f'--method {args.method}: {text}')
    if not searches:
        args.das = 'search' if args.method in (None, 'das') else args.method
        args.last_line = lambda cfg: f'next: {train.next_command(cfg)}\ntrain with it: {next_command(args)}'
    train.run(args)


def check_method(args: Namespace) -> None:
    """Refuse options of which one says something else than another.

    Raises:
        ValueError: naming both.
    """
    if args.das not in (None, 'search'):
        raise ValueError(f'--das {args.das}: this command searches; mmdas train takes it')
    if args.das == 'search' and args.method not in (None, 'das'):
        raise ValueError(f'--das search is the search of a clip, --method {args.method} another one; leave out one')
    if args.fast and args.method not in (None, 'das'):
        raise ValueError(f'--fast is for the search of a clip, --method {args.method} is another one; leave out one')
    lengths = [key for key in args.cfg_options or () if key in ('train_cfg.max_iters', 'train_cfg.max_epochs')]
    if args.budget is not None and lengths:
        raise ValueError(f'--budget {args.budget} and {lengths[0]} both say how long the search is; leave out one')


def next_command(args: Namespace) -> str:
    """The command that trains with the policy, in the form in which it was searched."""
    policy = f'{args.work_dir}/policy.json'
    if args.das != 'search':
        return shlex.join(['mmdas', 'train', args.config, '--augment', policy])
    return shlex.join(['mmdas', 'train', args.config, '--das', policy, *conversion_words(args)])
