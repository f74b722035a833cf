"""Labels that nothing can be learned from, found before they reach the loss."""

import logging
from collections.abc import Sequence

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmdas.engine.data_error import DataError
from mmdas.engine.utils import main_head, unwrap
from mmdas.registry import HOOKS

from .folder_checks import check_folders
from .label_checks import (
    check_class_names,
    check_labels,
    check_num_classes,
    find_label_faults,
    is_ignored,
    read_samples,
    sample_file,
    size_fault,
)
from .label_tally import LabelTally


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Stop or warn, with the file's name, where labels and model do not fit.

    Before a training (with its validation) or test, the head's number of classes is compared with the data set's, the
    classes of its parts with each other, and some samples are looked at: masks that hold one class and ignored pixels
    alone, or are of another size than their image, are a warning; if more files of a training hold nothing else, an
    error. In them, and in all samples before every iteration, a label outside the classes and a label image that stores
    colours are an error. The labels are still on the CPU then, so that looking at them costs no synchronisation, and a
    GPU would answer with a device-side assertion that names nothing. After the first epoch, or at once for a small data
    set, a warning names the classes that no label holds: of all images, since data may be sorted by their classes, or
    have more classes than a part of them shows.

    Args:
        num_files: label files that are looked at beforehand, spread over the data set. Default: 16.
        num_images: images after which the missing classes are named, if the data set has as many. Default: all.
        num_sure: label files that are looked at where the first hold one class alone. Default: 256.

    Raises:
        DataError: naming the label, the classes and the image; or the numbers of classes that disagree, classes of a
            validation in another order than those of the training, or folders in another order than the names.
    """

    def __init__(self, num_files: int = 16, num_images: int | None = None, num_sure: int = 256) -> None:
        self.num_files = num_files
        self.num_images = num_images
        self.num_sure = num_sure
        self._tallies: dict[str, LabelTally] = {}
        self._warned: set[str] = set()
        self._folders: dict[str, int] = {}
        self._classes: dict[str, Sequence[str]] = {}

    def before_train(self, runner: Runner) -> None:
        """Check the training set and the validation set, which is needed hours later."""
        self._check_dataset(runner, 'train')
        self._check_dataset(runner, 'val')

    def before_val(self, runner: Runner) -> None:
        """Check the validation set, the first time."""
        self._check_dataset(runner, 'val')

    def before_test(self, runner: Runner) -> None:
        """Check the test set."""
        self._check_dataset(runner, 'test')

    def before_policy_batch(self, runner: Runner, data_batch: dict | None) -> None:
        """Check a batch of the policy part; the search loop calls this, MMEngine has no such place."""
        self._before_iter(runner, 0, data_batch)

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None, mode: str = 'train') -> None:
        """Check all labels of a batch, which MMEngine's Hook passes on before every kind of iteration."""
        _, head = main_head(unwrap(runner.model))
        num_classes = getattr(head, 'num_classes', None)
        if not num_classes or not isinstance(data_batch, dict):
            return
        ignored = getattr(head, 'ignore_index', 255)
        inputs = data_batch.get('inputs')
        samples = [sample for sample in data_batch.get('data_samples') or () if isinstance(sample, BaseDataElement)]
        for index, sample in enumerate(samples):
            check_labels(sample, num_classes, ignored)
            self._warn(f'{mode} size', size_fault(sample, inputs[index] if inputs is not None else None))
            if mode in self._tallies:
                self._warn(f'{mode} classes', self._tallies[mode].add(sample))
        if samples and all(is_ignored(sample, ignored) for sample in samples):
            self._warn(
                'ignored', f'all pixels of a batch, as of {sample_file(samples[0])}, are ignored: nothing is learned'
            )

    def _check_dataset(self, runner: Runner, mode: str) -> None:
        dataset = getattr(getattr(runner, f'{mode}_dataloader', None), 'dataset', None)
        host, head = main_head(unwrap(runner.model))
        num_classes = getattr(head, 'num_classes', None)
        if mode in self._tallies or dataset is None or not num_classes:
            return
        check_folders(dataset, mode, self._folders)
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if host.label_maps:
            num_classes = max(num_classes, 2)  # a binary head of one channel has two labels
        if classes:
            self._warn(f'{mode} names', check_class_names(classes, mode, self._classes))
            self._classes[mode] = classes
            self._warn(
                f'{mode} number', check_num_classes(num_classes, classes, f'num_classes of the {host.heads[0]}', mode)
            )
        share = max(min(len(dataset), self.num_images or len(dataset)) // get_world_size(), 1)
        classes = classes or range(num_classes)
        self._tallies[mode] = LabelTally(classes, share)
        if is_main_process():
            ignored = getattr(head, 'ignore_index', 255)
            faults = dict(find_label_faults(dataset, self.num_files, ignored, classes))
            if mode == 'train' and 'one class' in faults:
                sure = dict(find_label_faults(dataset, self.num_sure, ignored, classes)).get('one class')
                if sure is not None:
                    raise DataError(sure)
            for kind, fault in faults.items():
                self._warn(f'{mode} {kind}', fault)
            for sample in read_samples(dataset, self.num_files):
                check_labels(sample, num_classes, ignored)

    def _warn(self, kind: str, fault: str | None) -> None:
        """Log a fault of a kind once."""
        if fault and kind not in self._warned:
            self._warned.add(kind)
            print_log(fault, 'current', logging.WARNING)
