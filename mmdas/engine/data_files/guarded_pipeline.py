"""A data set's pipeline that names the file at fault."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from mmengine.dataset import Compose
from mmengine.logging import print_log

from mmdas.engine.data_error import DataError

from .faults import color_fault, orientation_fault, read_fault, size_text, wrap_fault
from .look import is_local, look_at

FILES = {'img_path': 'image', 'seg_map_path': 'label image'}


class GuardedPipeline(Compose):
    """The transforms of a pipeline, with a look at every sample's files and at what was loaded from them.

    An error of a transform that loads becomes one that names the file and what is wrong with it; errors of other
    transforms stay as they are. A loaded label map must be of one channel and of its image's size. The files of a
    sample are looked at once in a process: a file without an end, and a label image of more than 8 bits, are decoded.

    Args:
        pipeline: the pipeline of MMEngine.
        num_samples: of the data set.
    """

    def __init__(self, pipeline: Compose, num_samples: int) -> None:
        super().__init__(pipeline.transforms)
        self.is_local = not any(_backend(step) for step in self.transforms)
        self.turns_images = not any(leaves_upright(step) for step in self.transforms)
        self.reads_8_bit = any(_reads_8_bit(step) for step in self.transforms)
        self.warned = False
        self._looked = bytearray(num_samples)  # small even for millions of samples

    def __call__(self, data: dict) -> dict | None:
        """Transform a sample.

        Raises:
            DataError: naming the file, its fault and the remedy.
        """
        files = {key: data.get(key) for key in FILES}
        number = data.get('sample_idx')
        result: Any = data
        pending, compared = None, False  # a fault that the next transform may mend; whether labels were loaded
        for step in self.transforms:
            result = self._apply(step, result, files)
            if result is None:  # as in MMEngine: the data set takes another sample
                return None
            if pending and not _same_sizes(result):
                break
            pending = None
            if not compared and _is_loaded(result):
                compared = True
                pending = self._size_fault(result, files)
        if pending:
            raise DataError(pending)
        if number is not None and number < len(self._looked) and not self._looked[number]:
            self.look(files, compared)
            self._looked[number] = 1
        return result

    def _apply(self, step: Any, data: Any, files: dict) -> Any:
        """The result of a transform.

        Raises:
            DataError: naming the file that it could not load.
        """
        try:
            return step(data)
        except Exception as error:
            fault = self._loading_fault(error, step, files)
            if fault is None:
                raise
            raise DataError(fault) from error

    def _loading_fault(self, error: Exception, step: Any, files: dict) -> str | None:
        """Which file a transform could not load, and why; None for an error of another kind."""
        loads = type(step).__name__.startswith('Load')
        wraps = hasattr(step, 'transforms') or hasattr(step, 'subroutines')
        if isinstance(error, DataError) or not (loads or wraps):
            return None
        local = {key: path for key, path in files.items() if self.is_local and is_local(path)}
        if loads:
            wanted = 'seg_map_path' if 'Annot' in type(step).__name__ else 'img_path'
            local = {key: path for key, path in local.items() if key == wanted}
        for key, path in local.items():
            fault = read_fault(FILES[key], str(path), failed=True)
            if fault:
                return fault
        if wraps:
            return None
        names = ' and '.join(f'the {FILES[key]} {path}' for key, path in files.items() if path) or 'a sample'
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        return f'{names} cannot be loaded by {type(step).__name__} ({reason}); see whether the files fit the pipeline'

    def _size_fault(self, result: dict, files: dict) -> str | None:
        """What is wrong with the size of a label map, unless the next transform gives both one size.

        Raises:
            DataError: for labels that are colours, or whose image has other proportions.
        """
        path, labels = str(files['seg_map_path']), tuple(result['gt_seg_map'].shape)
        image = tuple(result['ori_shape'][:2])
        if len(labels) != 2 and self.reads_8_bit:
            raise DataError(color_fault(path, labels))
        if len(labels) != 2 or labels == image:
            return None
        fault = size_text(path, labels, image, files['img_path'] if self.turns_images else None)
        if abs(labels[0] * image[1] - labels[1] * image[0]) > max(*labels, *image):
            raise DataError(fault)
        return fault

    def look(self, files: dict, has_labels: bool) -> None:
        """Look at the files of a sample that was loaded without an error.

        Args:
            files: a dict with the paths of ``FILES``.
            has_labels: whether the label image was loaded.

        Raises:
            DataError: for a file that is cut off, or a label image whose values do not fit 8 bits.
        """
        for key, path in ((key, files.get(key)) for key in FILES):
            if not (self.is_local and is_local(path)) or (key == 'seg_map_path' and not has_labels):
                continue
            try:
                look = look_at(str(path))
            except OSError:  # it was loaded in another way
                continue
            fault = None
            if look.kind and look.is_cut:
                fault = read_fault(FILES[key], str(path))
            if key == 'seg_map_path' and look.is_deep and self.reads_8_bit:
                fault = fault or wrap_fault(str(path))
            if fault:
                raise DataError(fault)
            if key == 'img_path' and has_labels and look.has_exif and self.turns_images and not self.warned:
                self._warn(orientation_fault(str(path), str(files['seg_map_path'])))

    def _warn(self, fault: str | None) -> None:
        if fault:
            self.warned = True
            print_log(fault, 'current', logging.WARNING)


def _is_loaded(result: Any) -> bool:
    """Whether image and labels are there, before they are packed."""
    return isinstance(result, Mapping) and hasattr(result.get('gt_seg_map'), 'shape') and 'ori_shape' in result


def _same_sizes(result: Any) -> bool:
    """Whether a transform gave image and labels one size."""
    if not isinstance(result, Mapping) or not all(hasattr(result.get(key), 'shape') for key in ('img', 'gt_seg_map')):
        return False
    return tuple(result['img'].shape[:2]) == tuple(result['gt_seg_map'].shape[:2])


def leaves_upright(step: Any) -> bool:
    """Whether a transform loads images without turning them by their EXIF orientation."""
    color = str(getattr(step, 'color_type', ''))
    return bool(color) and (
        'ignore' in color or color == 'unchanged' or getattr(step, 'imdecode_backend', '') in ('turbojpeg', 'tifffile')
    )


def _backend(step: Any) -> Any:
    """The backend by which a transform reads files that are not local, if it does."""
    backend = getattr(step, 'backend_args', None) or getattr(step, 'file_client_args', None) or {}
    return backend if backend.get('backend', 'disk') not in ('local', 'disk') else None


def _reads_8_bit(step: Any) -> bool:
    """Whether a transform reads labels as MMSegmentation's does, which keeps the last 8 bits of each."""
    module = sys.modules.get('mmseg.datasets.transforms')
    own = getattr(module, 'LoadAnnotations', None)
    return own is not None and getattr(type(step), '_load_seg_map', None) is own._load_seg_map
