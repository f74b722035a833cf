"""Files that are broken, named before a run needs them."""

import logging
import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmdas.engine.data_error import DataError
from mmdas.engine.data_files import Survey, guard, has_files
from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.registry import HOOKS


@HOOKS.register_module()
class DataFilesHook(Hook):
    """End a run at a broken file with its name, before the first step where that can be known cheaply.

    Before a training or search, the files of its data and of the validation are surveyed, before a test those of the
    test: all must exist and not be empty, and the headers of some must be those of whole images, with labels of their
    images' sizes. Files are decoded when they are read; then every data set names the one at fault. The log says how
    many files were looked at. In a config, the hook needs a loop that starts the workers of its data loader after
    ``before_train``, as those of mmdas and MMEngine's ``EpochBasedTrainLoop`` do; else their errors stay as they are.

    Args:
        num_headers: samples of a data set whose headers are looked at. Default: 1000.
        seconds: after which the survey of a data set ends. Default: 10.

    Raises:
        DataError: naming the file, its fault and the remedy.
        ValueError: for a negative number.
    """

    priority = 'VERY_HIGH'  # before the labels are looked at, and before the workers of a data loader begin

    def __init__(self, num_headers: int = 1000, seconds: float = 10.0) -> None:
        if num_headers < 0 or seconds < 0:
            raise ValueError(
                f'num_headers and seconds of DataFilesHook must be at least 0, got {num_headers} and {seconds}'
            )
        self.num_headers = num_headers
        self.seconds = seconds
        self._known: set[int] = set()

    def before_train(self, runner: Runner) -> None:
        """Survey the data of the training, of the policy in a search, and of the validation."""
        self._survey(getattr(runner, 'train_dataloader', None), 'train')
        policy = getattr(getattr(runner, 'train_loop', None), 'policy_batches', None)
        self._survey(getattr(policy, 'dataloader', None), 'policy')
        self._survey(getattr(runner, 'val_dataloader', None), 'val')

    def before_val(self, runner: Runner) -> None:
        """Survey the data of a validation without a training."""
        self._survey(getattr(runner, 'val_dataloader', None), 'val')

    def before_test(self, runner: Runner) -> None:
        """Survey the data of the test."""
        self._survey(getattr(runner, 'test_dataloader', None), 'test')

    def _survey(self, dataloader: Any, mode: str) -> None:
        dataset = getattr(dataloader, 'dataset', None)
        if dataset is None or id(dataset) in self._known:
            return
        self._known.add(id(dataset))
        leaves = [leaf for leaf in guard(dataset) if has_files(leaf)]
        if not leaves or not is_main_process():
            return
        begin = time.monotonic()
        with kept_random_state():
            surveys = [Survey(leaf, self.num_headers, self.seconds / len(leaves)).run() for leaf in leaves]
        self._tell([fault for survey in surveys for fault in survey.faults], mode)
        total, checked, headers = (
            sum(numbers) for numbers in zip(*((len(s.dataset), s.checked, s.headers) for s in surveys), strict=True)
        )
        seconds = time.monotonic() - begin
        print_log(
            f'{mode} data: the files of {checked} of {total} samples are there and not empty, the headers of {headers} '
            f'are right ({seconds:.2f} s); contents are checked as they are read',
            'current',
        )

    @staticmethod
    def _tell(faults: list[str], mode: str) -> None:
        """End the run at the first fault; the log has the others.

        Raises:
            DataError: for it.
        """
        if not faults:
            return
        for fault in faults[1:]:
            print_log(f'{mode} data: {fault}', 'current', logging.ERROR)
        more = f' (and {len(faults) - 1} or more others, see the log)' if len(faults) > 1 else ''
        raise DataError(f'{mode} data: {faults[0]}{more}')
