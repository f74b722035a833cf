"""The configs of DAS as text.

The texts name what they take from the host as ``{{_base_.model.backbone}}`` and copy nothing, so that a change of the
host's config reaches them.
"""

import textwrap
from typing import Any

from mmengine.config import Config

from .das_config import METHODS, Base, Variable, describe, stands_alone, stem
from .das_options import DASOptions
from .search_length import SEARCH_BASE

COMMENTS = {
    'repeat': '{frames} equal copies of the image: what frame fusion brings without any transformation.',
    'search': 'Search of the transformations{fast}; ends with policy.json in the work directory.',
    'das': 'Training with the searched policy; run the search first.',
}
WIDTH = 88  # of a line, before it is indented


def das_configs(cfg: Config, name: str, base: str, options: DASOptions | None = None) -> dict[str, str]:
    """Texts of the repeat, search and das configs of a host.

    Args:
        cfg: the plain config.
        name: of its file, without ``.py``.
        base: what stands for it in ``_base_``: ``'mmseg::folder/name.py'`` or a path relative to the new configs.
        options: what the user chooses. Default: 4 frames, GSF, the policy of the search.

    Returns:
        file name -> text, in the order repeat, search, das.

    Raises:
        ConversionError: if a part of the host's config cannot take frames.
    """
    options = options or DASOptions()
    repeat = f'./{stem("repeat", name, options)}.py'
    bases = {method: [base if stands_alone(method, options) else repeat] for method in METHODS}
    bases['search'].append(SEARCH_BASE)
    texts = {}
    for method in METHODS:
        settings = {'_base_': bases[method], **describe(method, cfg, name, options)}
        lines = [f'{key} = {source(value)}' for key, value in settings.items()]
        fast = ', by the fast form of a search' if options.fast else ''
        comment = COMMENTS[method].format(frames=options.frames, fast=fast)
        texts[f'{stem(method, name, options)}.py'] = '\n'.join([f'# {comment}', *lines, ''])
    return texts


def source(value: Any) -> str:
    """Python text of a piece of a description: one line where it fits, else an item a line."""
    if isinstance(value, Base):
        return f'{{{{_base_.{value.place}}}}}'
    if isinstance(value, Variable):
        return value.name if value.times == 1 else f'{value.times} * {value.name}'
    if isinstance(value, dict):
        opening, closing, items = 'dict(', ')', [f'{key}={source(inner)}' for key, inner in value.items()]
    elif isinstance(value, list):
        opening, closing, items = '[', ']', [source(inner) for inner in value]
    else:
        return repr(value)
    flat = f'{opening}{", ".join(items)}{closing}'
    if '\n' not in flat and len(flat) <= WIDTH:
        return flat
    lines = ''.join(textwrap.indent(f'{item},\n', '    ') for item in items)
    return f'{opening}\n{lines}{closing}'
