"""Workers of data loaders that end with their run."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader


class EndWorkersHook(Hook):
    """End the workers that data loaders keep (``persistent_workers``) after a training or search.

    A loop registers it. A runner and its loaders refer to each other, so that the garbage collector takes them, some
    time in what comes next. PyTorch cannot reach the workers any more then and waits five seconds for each of them,
    see ``findings/torch_workers_in_a_cycle.sh``. A loader that is used again starts new ones.

    Args:
        dataloaders: of the training; those of its validation are found.
    """

    def __init__(self, *dataloaders: DataLoader) -> None:
        self.dataloaders = dataloaders

    def after_run(self, runner: Runner) -> None:
        """Drop what the loaders iterate with, which ends the workers at once."""
        validation = runner.val_loop
        for dataloader in (*self.dataloaders, *([validation.dataloader] if validation is not None else [])):
            dataloader._iterator = None
