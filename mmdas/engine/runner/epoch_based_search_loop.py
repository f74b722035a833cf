"""The search for configs that count in epochs, as those of MMPretrain."""

from typing import Any

from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdas.registry import LOOPS

from .search_loop import SearchLoop
from .search_schedule import Round


@LOOPS.register_module()
class EpochBasedSearchLoop(SearchLoop):
    """A search that counts in epochs of the weights part; each decision of the selection is an epoch of one iteration.

    Args:
        max_epochs: epochs of the weights and policy phases together, as in the schedule of a plain training;
            selection and tuning follow.
        warmup_epochs: epochs at the start that leave the policy alone.
        image_epochs: so many of them, the first, see only the image.
        options: the others of :class:`SearchLoop`; ``val_interval`` is in epochs.
    """

    image_name = 'image_epochs'

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        warmup_epochs: int = 0,
        image_epochs: int = 0,
        **options: Any,
    ) -> None:
        self.check_words(options)
        options.update(warmup=warmup_epochs, image=image_epochs, length=max_epochs)
        super().__init__(runner, dataloader, **options)

    @property
    def max_epochs(self) -> int:
        """Epochs of all phases."""
        return len(self.schedule.rounds)

    def _repeat(self, phase: str, count: int) -> list[Round]:
        return [Round(phase, len(self.dataloader))] * count

    def _end_of_unit(self, iteration: int) -> int:
        return self.schedule.end_of_round(self._epoch)

    def run(self) -> nn.Module:
        """Launch the search."""
        self.runner.call_hook('before_train')
        self._resume()
        if self._epoch > 0 and self._iter == self.schedule.end_of_round(self._epoch - 1):  # between two epochs
            self._make_up_for_validation(self._epoch, self.max_epochs)
        while self._epoch < self.max_epochs and not self.stop_training:
            self.runner.call_hook('before_train_epoch')
            left = self.schedule.end_of_round(self._epoch) - self._iter  # less than a round within a resumed epoch
            for batch_idx in range(len(self.dataloader) - left, len(self.dataloader)):  # a decision comes last
                self.run_iter(batch_idx)
            self.runner.call_hook('after_train_epoch')
            self._epoch += 1
            self._validate(self._epoch, self.max_epochs)
        return self._finish()
