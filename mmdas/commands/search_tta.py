"""Search the views of an image that a trained model should average at test time; nothing is trained."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .parser import told_in_one_line
from .run_options import CONVERSION, load_run_config, refuse_search, refusing_code

if TYPE_CHECKING:
    from mmdas.search.test_time import ViewPolicy

FILE, PICTURE = 'views.json', '.png'
# Options that this search alone has, and those of trainings that it has no use for.
OWN = ('checkpoint', 'out', 'views', 'max_views', 'price', 'images', 'holdout', 'metric', 'view_seed')
OF_TRAININGS = ('resume', 'amp', 'augment', 'regularize', 'budget', 'fast')
FLAGS = ('accept_difference', 'trust_checkpoint')  # that a test needs, too


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options that this search has beside those of every run (``add_run_arguments``), None where not given."""
    group = parser.add_argument_group('views at test time')
    group.add_argument('--checkpoint', help='path of the trained model')
    group.add_argument('--out', metavar='FILE', help=f'policy to write (default: {FILE} in the work dir)')
    group.add_argument('--views', nargs='+', metavar='GROUP', help='of flip, shift, rotate, zoom, size, colour (all)')
    group.add_argument('--max-views', type=int, help='largest number of views (default: 4)')
    group.add_argument('--price', type=float, help='of a further view, in nats of the log-likelihood (default: 0.002)')
    group.add_argument('--images', type=int, help='held-out images at most, half to learn, half to decide (2000)')
    group.add_argument(
        '--holdout', type=float, metavar='RATIO', help='search on a part of the training set, not on val_dataloader'
    )
    group.add_argument('--metric', help='of the evaluator that decides, higher being better (mIoU, accuracy/top1)')
    group.add_argument('--view-seed', type=int, help='of the halves (default: 0)')


def run(args: Namespace) -> None:
    """Search, and print the policy with what it costs and the command that tests with it.

    Raises:
        CommandError: if the user has to change something.
    """
    from mmdas.apis import ViewSearchOptions, search_views
    from mmdas.visualization import save_view_figure

    with told_in_one_line(), refusing_code():
        refuse_search(args)
        refuse_given(args, OF_TRAININGS, 'is for a training, and a search of views trains nothing; leave it out')
        refuse_given(args, ['policy'], 'would be that of the clip; name it in the config, or by --das')
        if args.checkpoint is None:
            raise ValueError('a search of views needs a trained model; give --checkpoint FILE')
        options = ViewSearchOptions(**given_options(args))
        cfg = load_run_config(args)
        path = Path(args.out or Path(cfg.work_dir, FILE))
        check_file(path)
        found = search_views(cfg, args.checkpoint, options)
        path.parent.mkdir(parents=True, exist_ok=True)
        set_aside_earlier(path)
        found.policy.save(path)
    save_view_figure(found.policy, found.image, path.with_suffix(PICTURE))
    print('\n'.join(report(found.policy, path, args)))


def check_file(path: Path) -> None:
    """Check that a policy can be written to a file, with its picture beside it.

    Raises:
        ValueError: for a folder, or the name of a picture.
    """
    if path.is_dir():
        raise ValueError(f'--out {path} is a folder; give a file, such as {path / FILE}')
    if path.suffix == PICTURE:
        raise ValueError(f'--out {path} would be the picture of the policy; give a name that ends with .json')


def given_options(args: Namespace) -> dict:
    """Options of the search that the command line gives."""
    names = {'views': 'groups', 'view_seed': 'seed'}
    keys = [key for key in OWN if key not in ('checkpoint', 'out') and getattr(args, key) is not None]
    return {names.get(key, key): getattr(args, key) for key in keys}


def refuse_own(args: Namespace) -> None:
    """Refuse the options of this search, for a search by another method.

    Raises:
        ValueError: naming the option.
    """
    refuse_given(args, OWN, 'goes with --method tta, which searches the views of a trained model')


def refuse_given(args: Namespace, names: Iterable[str], reason: str) -> None:
    """Refuse options that nothing would read.

    Raises:
        ValueError: naming the first one that is given.
    """
    for name in names:
        if getattr(args, name, None) not in (None, False):
            raise ValueError(f'--{name.replace("_", "-")} {reason}')


def set_aside_earlier(path: Path) -> None:
    """Keep a policy that is there under another name, and say so."""
    from mmdas.engine.utils import set_aside

    earlier = set_aside(path)
    if earlier is not None:
        print(f'{path} was there already; the earlier policy is now {earlier}')


def report(policy: ViewPolicy, path: Path, args: Namespace) -> list[str]:
    """What is printed at the end."""
    origin = policy.origin
    scores, cost, data = origin['scores'], origin['milliseconds_an_image'], origin['data']
    lines = [f'{weight:6.3f}  {view}' for view, weight in zip(policy.views, policy.weights, strict=True)]
    found = 'no views were better' if policy.is_image else 'better'
    lines += [
        f'{origin["metric"]} of {data["decide"]} images that took no part in the learning: '
        f'{scores["image"]:g} the image alone, {scores["views"]:g} with views: {found}',
        f'milliseconds an image: {cost["image"]:g} the image alone, {cost["views"]:g} with views',
        f'seconds of the search: {origin["search_cost"]["seconds"]:g}',
        f'policy: {path}',
        f'picture: {path.with_suffix(PICTURE)}',
    ]
    if policy.is_image and 'tried' in origin:
        lines.append(f'tried: {"; ".join(origin["tried"])}')
    return [*lines, f'test with it: {shlex.join(test_command(path, args))}']


def test_command(path: Path, args: Namespace) -> list[str]:
    """The command that tests with a policy, with the options that decide the model."""
    command = ['mmdas', 'test', args.config, args.checkpoint, '--policy', str(path)]
    for name in ('das', *CONVERSION):
        value = getattr(args, name)
        if value is not None:
            values = value if isinstance(value, list) else [] if value is True else [value]
            command += [f'--{name.replace("_", "-")}', *map(str, values)]
    command += [f'--{name.replace("_", "-")}' for name in FLAGS if getattr(args, name)]
    given = [f'{key}={value}'.replace(' ', '').replace("'", '') for key, value in (args.cfg_options or {}).items()]
    return [*command, '--cfg-options', *given] if given else command
