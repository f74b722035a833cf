"""What training and testing share: a config, what it becomes, and settings that replace its own."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from mmengine.config import Config, DictAction

from .parser import CommandError, nearest

if TYPE_CHECKING:
    from mmdas.apis import DASOptions

METHODS = ('repeat', 'search')  # what --das takes beside the file of a policy
FAST = 'the search of DAS at about a third of its cost, which may find another policy: see the user guide'
CONVERSION = ('frames', 'fusion', 'pooling', 'selection', 'sites', 'any_frames', 'part_after')


def add_run_arguments(parser: ArgumentParser) -> None:
    """Add the options that training and testing share, named as in the OpenMMLab tools."""
    parser.add_argument('config', help='file, or name of an installed config (mmseg::FOLDER/NAME.py, or NAME alone)')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/<name of the config>)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings that replace the config\'s, as key=value; lists as key="[a,b]" or key=a,b, without white space',
    )
    parser.add_argument(
        '--policy', metavar='FILE', help="policy to use in place of the config's; in a test also one of views"
    )
    parser.add_argument(
        '--accept-difference',
        action='store_true',
        help='load weights that were trained with other frames, policy, fusion or pooling than the config has',
    )
    add_trust_argument(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes of a distributed run',
    )
    # Launchers before torchrun pass the rank as an option.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    add_das_arguments(parser)


def add_trust_argument(parser: ArgumentParser) -> None:
    """Add the one switch for checkpoints that are more than data."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load checkpoints that hold more than data, which can run code: only those whose source you trust',
    )


def guard_loading(args: Namespace) -> None:
    """Let this process load data alone, unless the command says otherwise."""
    from mmdas.engine.checkpoints import forbid_code, trust_checkpoints

    if args.trust_checkpoint:
        trust_checkpoints()
    forbid_code()


@contextmanager
def refusing_code() -> Iterator[None]:
    """Tell in one line of a checkpoint that PyTorch refused because it is more than data.

    Raises:
        CommandError: with the remedy.
    """
    try:
        yield
    except UnpicklingError as error:
        from mmdas.engine.checkpoints import explain

        raise CommandError(explain(error)) from error


def saved_config(cfg: Config) -> Callable[[], None]:
    """The config that an earlier run has saved in the work directory, over which a new runner writes its own.

    Args:
        cfg: of the new run.

    Returns:
        What puts it back, if there was one.
    """
    path = Path(cfg.work_dir, Path(cfg.filename or '').name)
    content = path.read_bytes() if cfg.filename and path.is_file() else None

    def put_back() -> None:
        from mmengine.dist import is_main_process

        from mmdas.engine.checkpoints import write_atomically

        if content is not None and is_main_process():
            write_atomically(path, content)

    return put_back


def settings_of(texts: list[str]) -> dict[str, Any]:
    """Settings that were given as ``KEY=VALUE``.

    Raises:
        ValueError: for another text.
    """
    without = [text for text in texts if '=' not in text]
    if without:
        raise ValueError(f'--cfg-options takes KEY=VALUE, several with spaces between them, got {without[0]}')
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=DictAction, default={})
    try:
        return dict(parser.parse_args(['--cfg-options', *texts]).cfg_options)
    except (ValueError, RecursionError, AssertionError) as error:  # of MMEngine's action: a dict(...), an open bracket
        told = f'--cfg-options {" ".join(texts)}: a value cannot be read'
        raise ValueError(f'{told}; lists are KEY="[A,B]", a dict is given key by key, as A.B=VALUE') from error


def add_das_arguments(parser: ArgumentParser) -> None:
    """Add ``--das`` and the options of its conversion."""
    group = parser.add_argument_group('a plain config becomes one of DAS')
    group.add_argument('--das', metavar='WHAT', help='repeat, search, or the file of a policy')
    add_conversion_arguments(group)


def add_conversion_arguments(parser: Any) -> None:
    """Add the options of a conversion; those that are not given are None."""
    parser.add_argument('--frames', type=int, help='frames T of a clip (default: those of the policy, else 4)')
    parser.add_argument('--fusion', help='gsf, gsm, tsm, aligned-gsf, aligned-gsm, aligned-tsm or none (default: gsf)')
    parser.add_argument(
        '--pooling', help='of the frames: mean, reference, max, attention, aligned or aligned_attention (default: mean)'
    )
    parser.add_argument('--selection', help='of the search: argmax or perturbation (default: argmax)')
    parser.add_argument(
        '--any-frames',
        action='store_const',
        const=True,
        help='train with 1, 2, ... T frames at random, so that one checkpoint serves any number of them',
    )
    parser.add_argument(
        '--sites', nargs='+', metavar='CONV', help='convolutions to fuse at (default: those of the residual blocks)'
    )
    parser.add_argument(
        '--part-after',
        metavar='PLACE',
        type=read_place,
        help='let frames part behind a stage of the backbone, such as layer1, or so many stages: a cheaper clip '
        '(default: clips of images)',
    )


def read_place(text: str) -> str | int:
    """A place at which frames part: the path of a module, or a number of stages."""
    return int(text) if text.isdigit() else text


def conversion_options(args: Namespace, policy: str | None = None) -> DASOptions:
    """The options of a conversion, T being that of the policy where nothing else is said.

    Raises:
        ValueError: for an unknown option, or a policy that cannot be used.
        FileNotFoundError: if there is no such config.
    """
    from mmdas.apis import DASOptions
    from mmdas.search.das import Policy

    given = {key: getattr(args, key) for key in CONVERSION if getattr(args, key) is not None}
    if 'sites' in given:
        given['sites'] = tuple(given['sites'])
    if policy is not None and 'frames' not in given and Path(policy).is_file():
        register_own_operations(args)
        given['frames'] = Policy.load(policy).num_frames
    return DASOptions(**given, policy=policy, fast=getattr(args, 'fast', False))


def conversion_words(args: Namespace) -> list[str]:
    """The options of a conversion as a command line has them, without those that a training has from its policy."""
    words: list[str] = []
    for key in CONVERSION:
        value = getattr(args, key)
        if value is None or key in ('frames', 'selection'):
            continue
        values = [] if value is True else value if isinstance(value, list) else [value]
        words += [f'--{key.replace("_", "-")}', *map(str, values)]
    return words


def register_own_operations(args: Namespace) -> None:
    """Import what the config and the options name in ``custom_imports``: a policy may hold operations of its own.

    Raises:
        ValueError: if it cannot be imported.
        FileNotFoundError: if there is no such config.
    """
    from mmdas.apis import find_config, import_custom_modules, read_config

    cfg = read_config(find_config(args.config)[0])
    options = getattr(args, 'cfg_options', None) or {}
    cfg.merge_from_dict({key: value for key, value in options.items() if key.partition('.')[0] == 'custom_imports'})
    import_custom_modules(cfg)


def load_run_config(args: Namespace, takes_views: bool = False) -> Config:
    """The config of a run as the command line asks for it.

    Args:
        args: of the command.
        takes_views: whether the command puts a policy of views at test time into the config afterwards.

    Raises:
        ValueError: for an option that nothing would read, or a config that cannot be converted.
        FileNotFoundError: if there is no such config or policy.
    """
    from mmdas.apis import accept_differences, check_conversion, is_view_policy, load_config, set_policy
    from mmdas.apis.config_files import require_model

    guard_loading(args)
    views = is_view_policy(args.policy)
    if views and not takes_views:
        raise ValueError(
            f'--policy {args.policy} is a policy of views at test time; mmdas test and mmdas predict take it'
        )
    das, options = read_das(args)
    run = args.work_dir, args.cfg_options, args.launcher, args.local_rank
    cfg = load_config(args.config, *run, das, options)
    require_model(cfg, args.config)
    if das is not None:
        check_conversion(cfg)
    set_policy(cfg, None if views else args.policy)
    if args.accept_difference:
        accept_differences(cfg)
    return cfg


def refuse_search(args: Namespace) -> None:
    """Refuse ``--das search`` of a command that does not search.

    Raises:
        ValueError: for it.
    """
    if args.das == 'search':
        raise ValueError('--das search is for a search; give repeat, or the file of the policy that the search found')


def read_das(args: Namespace) -> tuple[str | None, DASOptions | None]:
    """What ``--das`` asks for: the method of the conversion and its options, both None without.

    Raises:
        ValueError: if options of a conversion stand without ``--das``, that of a search without one, or two policies
            are given.
        FileNotFoundError: if it is neither a method nor a file.
    """
    if args.das is None:
        given = [key for key in CONVERSION if getattr(args, key) is not None]
        if given:
            raise ValueError(f'--{given[0].replace("_", "-")} goes with --das, which makes a plain config one of DAS')
        return None, None
    from mmdas.apis import AUGMENT_SEARCHES, is_search_method, is_view_policy

    if args.selection is not None and not is_search_method(args.das):
        raise ValueError(f'--selection {args.selection} is for a search, but --das is {args.das}; leave it out')
    if args.policy is not None and not is_view_policy(args.policy):
        raise ValueError(f'--policy {args.policy}: with --das, give the file of the policy to --das')
    if args.das in METHODS:
        return args.das, conversion_options(args)
    if args.das in AUGMENT_SEARCHES:
        given = [key for key in CONVERSION if getattr(args, key) is not None]
        if given:
            option = f'--{given[0].replace("_", "-")}'
            raise ValueError(f'{option} is an option of DAS, which a search by {args.das} has nothing of')
        return args.das, conversion_options(args)
    if not Path(args.das).is_file():
        what = f'there is no file {args.das}{nearest(args.das, METHODS)}'
        raise FileNotFoundError(f'--das takes repeat, search or the file of a policy; {what}')
    return 'das', conversion_options(args, args.das)
