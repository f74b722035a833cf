"""Print the config that mmdas train runs with the same options: all bases and options put in, nothing left out."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import train
from .parser import nearest, told_in_one_line
from .places import check_file

if TYPE_CHECKING:
    from mmengine.config import Config

EXAMPLE = 'mmdas print-config my_config.py --das repeat --key model.backbone'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options, which are those of the training."""
    train.add_arguments(parser)
    parser.add_argument('--key', metavar='A.B', help='a part of it alone, such as train_dataloader.dataset.pipeline')
    parser.add_argument('--out', metavar='FILE.py', help='write it there')


def run(args: Namespace) -> None:
    """Print or write the config.

    Raises:
        CommandError: if the user has to change something.
    """
    with told_in_one_line():
        if args.out is not None:
            check_file(args.out, ('.py',))
        with redirect_stdout(sys.stderr):  # what is said of the config is no part of it
            cfg = train.read(args)
        text = text_of(cfg, args.key)
        if args.out is not None:
            Path(args.out).parent.mkdir(parents=True, exist_ok=True)
            Path(args.out).write_text(text, encoding='utf-8')
    print(args.out or text.rstrip('\n'))


def text_of(cfg: Config, key: str | None) -> str:
    """A config, or its part at a dotted key, as the text of a config.

    Raises:
        ValueError: for a key that the config has not, with those beside it.
    """
    from mmengine.config import Config

    if key is None:
        return cfg.pretty_text
    node: Any = cfg
    parts = key.split('.')
    for place, part in enumerate(parts):
        known = (
            list(map(str, range(len(node)))) if isinstance(node, (list, tuple)) else list(getattr(node, 'keys', list)())
        )
        if part not in known:
            where = '.'.join(parts[:place]) or 'the config'
            raise ValueError(f'--key {key}: {where} has no {part}{nearest(part, known)}; it has {", ".join(known)}')
        node = node[int(part)] if isinstance(node, (list, tuple)) else node[part]
    return Config({parts[-1] if not parts[-1].isdigit() else f'item_{parts[-1]}': node}).pretty_text
