"""Options of the command line that nothing would read."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from .das_settings import preprocessor_of, preprocessor_place

# What the top of a config may say: MMEngine's runners and our tools read it. Everything else there is a variable of
# the file, whose value was put in its places when the file was read.
_READ = (
    'activation_checkpointing auto_scale_lr compile custom_hooks custom_imports data_preprocessor '
    'default_hooks default_scope efficient_conv_bn_eval env_cfg experiment_name find_unused_parameters '
    'init_weights_for_test_or_val launcher load_from log_level log_processor model model_wrapper_cfg '
    'num_frames optim_wrapper param_scheduler randomness resume runner_type strategy sync_bn test_cfg '
    'test_dataloader test_evaluator train_cfg train_dataloader tta_model tta_pipeline val_cfg '
    'val_dataloader val_evaluator visualizer work_dir'
)
READ = frozenset(_READ.split())
TYPO = 0.85  # similarity of a new key to one beside it, above which it is taken for a slip
NAMED = 3  # places that a message names


def check_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Check that something reads the options of the command line, before they are merged into a config.

    A key that is new beside keys unlike it is taken as meant, as ``default_hooks.checkpoint.max_keep_ckpts``.

    Args:
        cfg: the config as its file has it.
        options: dotted keys and values.

    Raises:
        ValueError: for an option that has no effect where the right key is known: a variable of the file that was put
            in its places, a slip in the first word, or the data preprocessor that does not count. Other doubts are
            warnings.
    """
    for key in options:
        top = key.partition('.')[0]
        if top not in READ:
            _check_top(cfg, key, top, options)
        else:
            _check_preprocessor(cfg, key)
            _check_slip(cfg, key)


def _check_preprocessor(cfg: Config, key: str) -> None:
    """Refuse options of the data preprocessor in the place that does not count."""
    if not preprocessor_of(cfg):
        return
    place = preprocessor_place(cfg)
    other = {'data_preprocessor': 'model.data_preprocessor', 'model.data_preprocessor': 'data_preprocessor'}[place]
    if f'{key}.'.startswith(f'{other}.'):
        raise ValueError(
            f'{key} has no effect: the data preprocessor of this config is {place}; set {place}{key[len(other) :]}'
        )


def _check_top(cfg: Config, key: str, top: str, options: Iterable[str]) -> None:
    if top in cfg:
        places = list(places_of(cfg, top))
        if any(given == place or given.startswith(f'{place}.') for given in options for place in places):
            return  # set where it counts too
        if places:
            raise ValueError(
                f'{key} has no effect: {top} is a variable of the config file, whose value was put in its places when '
                f'the file was read; set {named(places)}'
            )
    close = get_close_matches(top, READ, n=1, cutoff=0.8)
    if close and top not in cfg:
        raise ValueError(f'{key} has no effect: a config has no {top}; did you mean {close[0]}{key[len(top) :]}?')
    print_log(
        f'{key} has no effect, unless code of your own reads {top}: neither MMEngine nor mmdas does',
        logger='current',
        level=logging.WARNING,
    )


def named(places: list[str]) -> str:
    """The first places, and how many more there are."""
    more = f' and {len(places) - NAMED} more' if len(places) > NAMED else ''
    return ', '.join(places[:NAMED]) + more


def places_of(cfg: Config, name: str) -> Iterator[str]:
    """Dotted places, among those that are read, with the value of a variable: under its name, or as a list or dict."""
    value = cfg[name]
    for top in sorted(READ & set(cfg.keys())):
        yield from _search(cfg[top], top, name, value)


def _search(node: Any, path: str, name: str, value: Any) -> Iterator[str]:
    told = path.rpartition('.')[2] == name or (isinstance(node, (dict, list, tuple)) and node)
    if told and same(node, value):
        yield path
        return
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, child in children:
        yield from _search(child, f'{path}.{key}', name, value)


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal; not where they cannot be compared, as arrays."""
    try:
        return bool(left == right)
    except (TypeError, ValueError, RuntimeError):
        return False


def _check_slip(cfg: Config, key: str) -> None:
    """Warn of a new key that is almost one of those beside it."""
    node, path = dict(cfg.items()), ''
    for word in key.split('.'):
        if isinstance(node, (list, tuple)) and word.isdigit() and int(word) < len(node):
            node = node[int(word)]
        elif isinstance(node, dict) and word in node:
            node = node[word]
        else:
            close = get_close_matches(word, node, n=1, cutoff=TYPO) if isinstance(node, dict) else ()
            if close:
                print_log(
                    f'{key}: {path}{word} is new in this config; did you mean {path}{close[0]}?',
                    logger='current',
                    level=logging.WARNING,
                )
            return
        path += f'{word}.'
