"""The methods of a comparison: what their words say, and the options of the commands that train with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.config import Config

PLAIN = 'plain'
DAS = 'das'
STAND_IN = 'uniform'  # augmentation whose cost is measured before a searched one is there


@dataclass(frozen=True)
class Method:
    """What a training does beside the plain one.

    Args:
        name: words of the user, joined by ``+``.
        augment: words of ``--augment``; the name of a search stands for the policy that it finds.
        regularize: words of ``--regularize``.
        search: method of ``mmdas search`` that comes before; None for none.
    """

    name: str
    augment: tuple[str, ...] = ()
    regularize: tuple[str, ...] = ()
    search: str | None = None

    @property
    def slug(self) -> str:
        """The name in the form of a folder's."""
        return re.sub(r'[^\w-]+', '_', self.name).strip('_')

    def options(self, policy: str) -> list[str]:
        """Options of ``mmdas train``.

        Args:
            policy: file of the policy that the search found, where there is one.
        """
        words = [policy if word == self.search else word for word in self.augment]
        return [
            *(['--das', policy] if self.search == DAS else []),
            *(['--augment', *words] if words else []),
            *(['--regularize', *self.regularize] if self.regularize else []),
        ]

    def options_of_stand_in(self) -> list[str]:
        """Options of a training that costs as much, before there is a policy."""
        return self.options('repeat' if self.search == DAS else STAND_IN)


def read_methods(text: str) -> list[Method]:
    """The methods that a list with commas names; plain comes first, named or not.

    Raises:
        ValueError: for a word that stands twice, or words that do not go together.
    """
    names = [PLAIN, *(name.strip() for name in text.split(',') if name.strip() not in ('', PLAIN))]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f'--methods names {name} twice; leave one out')
    methods = [read_method(name) for name in names]
    for place, method in enumerate(methods):
        same = next((other for other in methods[:place] if other.slug == method.slug), None)
        if same is not None:
            raise ValueError(f'--methods: {method.name} and {same.name} would share a folder; rename one of the files')
    if len(methods) == 1:
        raise ValueError('--methods names nothing to compare plain with; give others, such as plain,randaugment')
    return methods


def read_method(name: str) -> Method:
    """A method by its words.

    Raises:
        ValueError: for words that do not go together.
    """
    from mmdas.apis import AUGMENT_SEARCHES, REGULARIZERS

    if name == PLAIN:
        return Method(name)
    words = [word.strip() for word in name.split('+')]
    if PLAIN in words or '' in words:
        raise ValueError(f'--methods {name}: {PLAIN} and nothing are no parts of a method; leave them out')
    searches = [word for word in words if word == DAS or word in AUGMENT_SEARCHES]
    if len(searches) > 1:
        raise ValueError(f'--methods {name}: one search a method, and these are {" and ".join(searches)}')
    regularize = tuple(word for word in words if word in REGULARIZERS)
    augment = tuple(word for word in words if word != DAS and word not in REGULARIZERS)
    return Method(name, augment, regularize, searches[0] if searches else None)


def check_methods(cfg: Config, methods: Sequence[Method]) -> None:
    """Try what the methods make of a config, before anything is trained.

    Args:
        cfg: plain, with a file; stays as it is.
        methods: to try.

    Raises:
        ValueError, FileNotFoundError: for a word that is unknown, or does not go with the config.
    """
    from copy import deepcopy

    from mmdas.apis import set_augment, set_regularizers

    for method in methods:
        made = deepcopy(cfg)
        words = [STAND_IN if word == method.search else word for word in method.augment]
        try:
            if words:
                set_augment(made, words)
            if method.regularize:
                set_regularizers(made, method.regularize)
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(f'--methods {method.name}: {error}') from error
