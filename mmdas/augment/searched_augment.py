"""An augmentation that is being searched, as a step on the batches of the search."""

from collections.abc import Mapping

from torch import Tensor

from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import AUGMENT_OPERATIONS, AugmentOperation, AugmentSearch, Canvas
from mmdas.search.augmentation.apply import IGNORE_INDEX

from .colour_augment import ColourAugment


@AUGMENTS.register_module()
class SearchedAugment(ColourAugment):
    """Augment batches with what a search has found so far. The data preprocessor holds the module that is searched.

    Args:
        search: the module, or its config, such as ``dict(type='mmdas.DDASSearch')``.
        ignore_index: see :class:`ColourAugment`.
    """

    def __init__(self, search: AugmentSearch | Mapping, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__(ignore_index)
        self.searchable = search if isinstance(search, AugmentSearch) else AUGMENTS.build(dict(search))
        if not isinstance(self.searchable, AugmentSearch):
            raise ValueError(
                f'SearchedAugment.search is a {type(self.searchable).__name__}, expected a search of an augmentation '
                'such as mmdas.DDASSearch'
            )

    @property
    def operations(self) -> list[AugmentOperation]:
        """Those of the search space."""
        return [AUGMENT_OPERATIONS[name] for name in self.searchable.operations]

    def augment(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the search does to a batch at present."""
        return self.searchable.augment(images, labels, Canvas(ignore_index=self.ignore_index))
