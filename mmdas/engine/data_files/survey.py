"""A pass over the files of a data set before they are needed."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmdas.engine.data_error import DataError

from .guarded_pipeline import FILES, GuardedPipeline
from .look import exif_orientation, image_size, is_local, look_at

GROUNDLESS = 16  # doubts of a kind that turn out to be groundless, after which it counts no more
LISTED = 5  # faults that are told


@dataclass
class Survey:
    """What is known of a data set's files without decoding them.

    Of every sample the files must exist and not be empty. Of some, spread over the data set, the header must be
    readable, the end must be there, and image and label must be of one size. A sample in doubt is read as the data
    set's own pipeline reads it, which alone decides: what it can read is right.

    Args:
        dataset: a data set with a :class:`GuardedPipeline`.
        num_headers: samples whose headers are read at most.
        seconds: after which the survey ends.

    Attributes:
        faults: messages, at most ``LISTED``.
        checked, headers: samples looked at.
    """

    dataset: Any
    num_headers: int
    seconds: float
    faults: list[str] = field(default_factory=list)
    checked: int = 0
    headers: int = 0
    _groundless: Counter = field(default_factory=Counter)

    def run(self) -> 'Survey':
        """Look at the headers, then at all files."""
        end = time.monotonic() + self.seconds
        count = len(self.dataset)
        if not self.pipeline.is_local or not count:
            return self
        some = np.unique(np.linspace(0, count - 1, min(self.num_headers, count)).astype(int)).tolist()
        for number in some:
            if self._is_over(end):
                return self
            self._check(number, header_doubt)
            self.headers += 1
        for number in range(count):
            if self._is_over(end):
                return self
            self._check(number, size_doubt)
            self.checked += 1
        return self

    @property
    def pipeline(self) -> GuardedPipeline:
        """The data set's pipeline."""
        return self.dataset.pipeline

    def _is_over(self, end: float) -> bool:
        return len(self.faults) >= LISTED or time.monotonic() > end

    def _check(self, number: int, find_doubt: Any) -> None:
        info = self.dataset.get_data_info(number)
        files = {key: str(info[key]) for key in FILES if is_local(info.get(key))}
        doubt = find_doubt(files)
        if doubt is None or self._groundless[doubt] >= GROUNDLESS:
            return
        try:
            self.dataset.prepare_data(number)
            self._groundless[doubt] += 1
        except DataError as error:
            if str(error) not in self.faults:
                self.faults.append(str(error))
        except Exception:  # of a transform that does not load: the run will tell
            self._groundless[doubt] += 1


def has_files(dataset: Any) -> bool:
    """Whether a data set reads files, by its first sample."""
    return len(dataset) > 0 and any(is_local(dataset.get_data_info(0).get(key)) for key in FILES)


def size_doubt(files: dict[str, str]) -> tuple | None:
    """The file that is missing or empty, if one is."""
    for key, path in files.items():
        try:
            if os.stat(path).st_size == 0:
                return key, 'empty'
        except OSError:
            return key, 'missing'
    return None


def header_doubt(files: dict[str, str]) -> tuple | None:
    """The file whose header or end is not that of a whole image, or the sizes that differ, if so."""
    doubt = size_doubt(files)
    if doubt:
        return doubt
    for key, path in files.items():
        look = look_at(path)
        if not look.kind or look.is_cut:
            return key, 'bytes', look.kind
        if key == 'seg_map_path' and (look.is_deep or look.is_color):
            return key, 'channels'
        if key == 'img_path' and look.has_exif and len(files) > 1 and exif_orientation(path) != 1:
            return key, 'orientation'
    sizes = [image_size(path, turned=key == 'img_path') for key, path in files.items()]
    if None in sizes:
        return 'header', sizes.index(None)
    return ('sizes',) if len(set(sizes)) > 1 else None
