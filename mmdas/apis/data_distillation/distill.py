"""Label the images of a folder with a trained model.

One model looks at several views of each image, and the mean prediction becomes a hard label (Radosavovic et al., "Data
Distillation: Towards Omni-Supervised Learning", CVPR 2018).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import torch
from mmengine.config import Config

from mmdas.apis.config_files import host_of
from mmdas.apis.inference import Inferencer
from mmdas.engine.checkpoints.atomic_file import write_atomically
from mmdas.engine.hooks.distill_hook import fingerprint
from mmdas.engine.utils import main_head

from .data_set import MAPS, RETRAIN, metainfo_of, retrain_text, training_set, write_data_set, zero_is_reduced
from .images import list_images, told
from .labels import LARGEST, hard_label, hard_map, ignored_as_written
from .options import DataDistillation, DistilledSet
from .record import Record
from .tally import check_kept, check_labels, shares


def distill_data(
    cfg: Config,
    checkpoint: str | Path,
    folder: str | Path,
    out_dir: str | Path,
    options: DataDistillation | None = None,
    *,
    config: str | None = None,
    device: str | None = None,
    accept_difference: bool = False,
    tell: Callable[[str], None] = print,
) -> DistilledSet:
    """Label the images of a folder, and those of the folders within it.

    A run that was stopped goes on where it was: the same call does it. Labels are there whole or not at all.

    Args:
        cfg: of the model, as :func:`mmdas.apis.load_config` gives it.
        checkpoint: path of its weights.
        folder: of the images.
        out_dir: folder of the data set that is written.
        options: views and confidence. Default: those of :class:`DataDistillation`.
        config: what the new training inherits from. Default: the file of ``cfg``.
        device, accept_difference: as of :class:`Inferencer`.
        tell: takes lines of progress.

    Raises:
        FileNotFoundError: if there is no such checkpoint or folder, or no image.
        ValueError: for a model without classes or with several classes an image, a training set without files or with
            fewer classes than the model, an ``out_dir`` with labels of other settings, or a confidence that no image
            has.
    """
    options = options or DataDistillation()
    source, target = Path(folder).resolve(), Path(out_dir).resolve()
    host, inner = host_of(cfg), training_set(cfg)
    names = list_images(source, target)
    if target.is_file():
        raise ValueError(f'--out-dir {out_dir} is a file; give a folder')
    infer = viewing(cfg, checkpoint, options, device, accept_difference)
    meta = metainfo_of(cfg, inner, infer.classes)
    shift = int(host.label_maps and zero_is_reduced(cfg, inner))
    if host.label_maps:
        unsure_label(infer, options, shift)  # before anything is written
    settings = {
        'model': fingerprint(infer.model),
        'views': options.view_policy.to_dict()['views'],
        'confidence': options.confidence,
        'folder': str(source),
    }
    record = Record(target, settings)
    left = [name for name in names if not is_done(record, target, name, host.label_maps)]
    if len(left) < len(names):
        tell(f'{len(names) - len(left)} of {len(names)} images have labels already')
    done = (
        label_maps(infer, left, source, target, options, shift)
        if host.label_maps
        else label_images(infer, left, source, options)
    )
    for rows in told(done, len(left), tell):
        record.add(rows)
    rows = [record.done[name] for name in names]
    check_labels(rows, meta.get('classes'))
    check_kept(rows, source, options.confidence)
    dataset = write_data_set(cfg, target, source, rows, meta)
    text = retrain_text(config or str(cfg.filename), target, host.label_maps)
    write_atomically(target / RETRAIN, text.encode())
    kept = sum(row['kept'] > 0 for row in rows)
    return DistilledSet(target, dataset, text, len(rows), kept, shares(rows, meta.get('classes') or ()))


def viewing(
    cfg: Config, checkpoint: str | Path, options: DataDistillation, device: str | None, accept_difference: bool
) -> Inferencer:
    """The model, looking at the views."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch, 'views.json')
        options.view_policy.save(path)
        return Inferencer(cfg, checkpoint, device, path, accept_difference)


def is_done(record: Record, folder: Path, name: str, label_maps: bool) -> bool:
    """Whether an image has its label."""
    return name in record.done and (not label_maps or (folder / MAPS / f'{name}.png').is_file())


def predictions(infer: Inferencer, names: Sequence[str], folder: Path, batch_size: int) -> Iterator[tuple[list, list]]:
    """Names and samples of each batch; errors as of :meth:`Inferencer.batches`."""
    place = 0
    for data in infer.batches([str(folder / name) for name in names], batch_size):
        with torch.no_grad():
            samples = infer.model.test_step(data)
        yield list(names[place : place + len(samples)]), samples
        place += len(samples)


def label_images(infer: Inferencer, names: Sequence[str], folder: Path, options: DataDistillation) -> Iterator[list]:
    """Rows of the record of each batch, of a classification."""
    for batch, samples in predictions(infer, names, folder, options.batch_size):
        found = [hard_label(sample.pred_score, options.confidence) for sample in samples]
        yield [
            {'image': name, 'label': label, 'score': round(score, 6), 'kept': int(kept)}
            for name, (label, score, kept) in zip(batch, found, strict=True)
        ]


def label_maps(
    infer: Inferencer, names: Sequence[str], folder: Path, target: Path, options: DataDistillation, shift: int
) -> Iterator[list]:
    """Rows of the record of each batch, of a segmentation, whose label maps are written before."""
    ignored = unsure_label(infer, options, shift)
    for batch, samples in predictions(infer, names, folder, options.batch_size):
        rows = []
        for name, sample in zip(batch, samples, strict=True):
            found, kept = hard_map(sample, options.confidence, ignored, shift)
            write_atomically(target / MAPS / f'{name}.png', cv2.imencode('.png', found)[1].tobytes())
            counts = Counter(found[found != ignored].tolist())
            pixels = {str(label - shift): count / found.size for label, count in sorted(counts.items())}
            rows.append({'image': name, 'kept': round(kept, 6), 'pixels': pixels})
        yield rows


def unsure_label(infer: Inferencer, options: DataDistillation, shift: int) -> int:
    """What is written for a pixel that is not sure; without a confidence there is none."""
    ignore_index = getattr(main_head(infer.model.module)[1], 'ignore_index', LARGEST)
    return ignored_as_written(ignore_index, shift) if options.confidence else LARGEST
