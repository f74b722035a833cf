"""The logits of teachers for each image of the training set, computed once and kept in the work directory."""

import io
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmdas.engine.checkpoints import CheckpointError, read_checkpoint, write_atomically
from mmdas.engine.hooks.random_state_hook import kept_random_state
from mmdas.engine.utils import unwrap
from mmdas.models.distillation import CachedLogits, Distillation, DistillationError
from mmdas.models.distillation.distilled import mean_of
from mmdas.models.distillation.pixels import images_of

from .fixed_view import tested_like

FILE = 'teacher_logits.pt'
SECONDS = 30.0  # between two lines of progress


def cache_logits(runner: Runner, distillation: Distillation, images: Any, key: dict[str, Any]) -> CachedLogits:
    """Logits of the teachers for each image, from the work directory if they are there.

    Several processes share the images, and all get the whole table.

    Args:
        runner: of the training, whose validation says how many images are loaded at a time.
        distillation: with the teachers.
        images: data set of the images as the teachers see them, see :func:`fixed_view`.
        key: what decides the logits; a file of another key is replaced.

    Returns:
        In half precision, (N, K).

    Raises:
        DistillationError: for losses of features, maps of logits, as of a segmentation, or logits that half precision
            does not hold.
    """
    distillation.check_cached()
    path = Path(runner.work_dir, FILE)
    found = [read(path, key) if is_main_process() else None]
    broadcast_object_list(found)
    table = found[0]
    if table is None:
        start = time.monotonic()
        with kept_random_state():
            table = compute(runner, distillation, images)
        if is_main_process():
            write(path, {'key': key, 'logits': table})
        runner.logger.info(f'the teacher has seen {len(table)} images in {time.monotonic() - start:.0f} s: {path}')
    else:
        runner.logger.info(f'what the teacher says of {len(table)} images is in {path} already')
    return CachedLogits(table)


def compute(runner: Runner, distillation: Distillation, images: Any) -> Tensor:
    """The table (N, K) of all processes."""
    student: Any = unwrap(runner.model)
    like = tested_like(runner).dataloader
    loader = DataLoader(
        images,
        batch_size=like.batch_size or 1,
        sampler=DefaultSampler(images, shuffle=False),  # of each process its share, equally many
        num_workers=like.num_workers,
        collate_fn=pseudo_collate,
    )
    preprocessor = student.data_preprocessor
    mode = preprocessor.training
    preprocessor.eval()
    try:
        rows = [logits_of(student, distillation, batch) for batch in told(loader, runner)]
    finally:
        preprocessor.train(mode)
    shares = all_gather_object(torch.cat(rows))
    return torch.stack(shares, dim=1).flatten(0, 1)[: len(images)]  # image n is in process n % their number


def logits_of(student: Any, distillation: Distillation, batch: dict) -> Tensor:
    """Logits (B, K) of a batch in half precision, on the CPU.

    Raises:
        DistillationError: as :func:`cache_logits`.
    """
    data = student.data_preprocessor(batch, False)
    images = images_of(data['inputs'], student.data_preprocessor)
    found, _ = distillation.teach(student, images, data['data_samples'])
    mean = mean_of(found, found[0])
    if mean.ndim != 2:
        raise DistillationError(
            f'the logits of the teacher are maps {tuple(mean.shape)}: those of whole images would have to be kept, and '
            'scaled, cut and mirrored with each crop of the student; leave out --cache (cache=True of '
            'mmdas.DistillHook), which is for classification'
        )
    half = mean.half().cpu()
    if not torch.isfinite(half).all():
        raise DistillationError(
            f'the logits of the teacher reach {mean.abs().max().item():.3g}, and cached ones are kept in half '
            'precision, up to 65504; leave out --cache (cache=True of mmdas.DistillHook), or look at the teacher'
        )
    return half


def told(batches: Iterable[Any], runner: Runner) -> Iterator[Any]:
    """The batches, with lines of progress."""
    total, last = len(batches), time.monotonic()  # type: ignore[arg-type]  # a loader has a length
    for number, batch in enumerate(batches):
        if time.monotonic() - last >= SECONDS:
            last = time.monotonic()
            runner.logger.info(f'the teacher has seen {number} of {total} batches of the training set')
        yield batch


def read(path: Path, key: dict[str, Any]) -> Tensor | None:
    """The table of a file, if it is whole and of this key."""
    try:
        content = read_checkpoint(path)
        return content['logits'] if content['key'] == key else None
    except (FileNotFoundError, CheckpointError, KeyError, TypeError, IndexError):  # it is computed anew
        return None


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a file whole."""
    stream = io.BytesIO()
    torch.save(content, stream)
    write_atomically(path, stream.getvalue())
