"""The search for configs that count in iterations, as those of MMSegmentation."""

from typing import Any

from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmdas.registry import LOOPS

from .search_loop import SearchLoop
from .search_schedule import Round


@LOOPS.register_module()
class IterBasedSearchLoop(SearchLoop):
    """A search that counts in iterations.

    Args:
        max_iters: iterations of the weights and policy phases together, as in the schedule of a plain training;
            selection and tuning follow.
        warmup_iters: iterations at the start that leave the policy alone.
        image_iters: so many of them, the first, see only the image.
        val_interval: in iterations.
        options: the others of :class:`SearchLoop`.
    """

    image_name = 'image_iters'

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        warmup_iters: int = 0,
        image_iters: int = 0,
        val_interval: int = 1000,
        **options: Any,
    ) -> None:
        self.check_words(options)
        options.update(warmup=warmup_iters, image=image_iters, length=max_iters, val_interval=val_interval)
        super().__init__(runner, dataloader, **options)

    def _repeat(self, phase: str, count: int) -> list[Round]:
        return [Round(phase, count)]

    def _end_of_unit(self, iteration: int) -> int:
        return iteration + 1

    def run(self) -> nn.Module:
        """Launch the search."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self._resume()
        self._make_up_for_validation(self._iter, self.max_iters)
        while self._iter < self.max_iters and not self.stop_training:
            self.run_iter(self._iter)
            self._validate(self._iter, self.max_iters)
        self.runner.call_hook('after_train_epoch')
        return self._finish()
