"""E1: latency of a prediction with T frames against T plain images, and beside test-time augmentation of T passes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Report, Settings, Timing, race, ratio
from benchmarks.hosts import SEGMENTORS, build_model, check_same_prediction, make_batch, share_weights
from benchmarks.warps import is_installed

TITLE = 'inference latency with T frames against a plain batch of B*T images, data preprocessor included'
METRICS = ('ratio_to_plain_batch',)
HOSTS = ('classifier R18', 'PSPNet R18')
# T -> scales of the images; each is predicted with and without a flip, as the toolboxes' test-time augmentation does.
SCALES = {4: (0.75, 1.25), 8: (0.5, 0.75, 1.25, 1.5)}
D4_PASSES = 8  # the symmetries of the square


@dataclass(frozen=True)
class Sizes:
    """What is raced: batch sizes B, side of the images for every host, rounds."""

    batches: tuple[int, ...]
    sides: Mapping[str, int]
    rounds: int


FULL = Sizes(batches=(1, 4), sides={'classifier R18': 224, 'PSPNet R18': 512}, rounds=24)
# Without a GPU the full sizes take hours.
FULL_CPU = Sizes(batches=(1, 4), sides={'classifier R18': 224, 'PSPNet R18': 192}, rounds=12)
QUICK = Sizes(batches=(1,), sides={'classifier R18': 112, 'PSPNet R18': 96}, rounds=12)


def run(settings: Settings) -> Report:
    """Time all hosts, batch sizes and numbers of frames."""
    sizes = QUICK if settings.quick else FULL if settings.device.type == 'cuda' else FULL_CPU
    with_ttach = is_installed('ttach')
    cases = [(name, batch, frames) for name in HOSTS for batch in sizes.batches for frames in SCALES]
    rows = []
    for name, batch, frames in cases:
        timings = race_host(name, batch, frames, sizes, settings.device, with_ttach)
        rows.append(row(f'{name}, {batch}x{sizes.sides[name]}x{sizes.sides[name]}', frames, timings))
    report = Report()
    columns = (
        'host, images',
        'T',
        'plain B*T, ms',
        'DAS, ms',
        'scales and flips, ms',
        'ttach d4, ms',
        'DAS / plain B*T',
    )
    report.table('latency, median (min), of T forward passes for each image', columns, rows)
    report.metric('ratio_to_plain_batch', max(line[-1] for line in rows))
    return report


def row(name: str, frames: int, timings: dict[str, Timing]) -> tuple:
    """One line of the table."""
    contestants = ('plain B*T', 'DAS', 'scales and flips', 'ttach d4')
    medians = [timings[key].milliseconds if key in timings else None for key in contestants]
    return name, frames, *medians, ratio(timings['DAS'], timings['plain B*T'])


@torch.no_grad()
def race_host(
    name: str, batch: int, frames: int, sizes: Sizes, device: torch.device, with_ttach: bool
) -> dict[str, Timing]:
    """Timings of everything that makes T forward passes for each of B images."""
    side = sizes.sides[name]
    plain, das = build_model(name, side, device=device), build_model(name, side, frames, device)
    share_weights(plain, das)
    check_same_prediction(plain, das, frames, side)  # leaves both in evaluation mode
    small, large = make_batch(name, batch, side), make_batch(name, batch * frames, side)
    contestants = {
        'plain B*T': lambda: plain(normalised(plain, large), mode='tensor'),
        'DAS': lambda: das(normalised(das, small), mode='tensor'),
        'scales and flips': lambda: scales_and_flips(plain, normalised(plain, small), SCALES[frames]),
    }
    if with_ttach and frames == D4_PASSES:
        symmetries = d4_model(plain, dense=name in SEGMENTORS)
        contestants['ttach d4'] = lambda: symmetries(normalised(plain, small))
    # A policy's operator is made when a size has come eight times, as in a test set of one size.
    return race(contestants, sizes.rounds, warmup=10, device=device)


def normalised(model: nn.Module, batch: dict[str, list]) -> Tensor:
    """What the model's own data preprocessor makes of a batch."""
    return model.data_preprocessor(batch)['inputs']


def scales_and_flips(model: nn.Module, images: Tensor, scales: tuple[float, ...]) -> Tensor:
    """Mean prediction over scales, each with and without a horizontal flip."""
    predictions = []
    for scale in scales:
        scaled = F.interpolate(images, scale_factor=scale, mode='bilinear', align_corners=False)
        for flip in (False, True):
            prediction = model(scaled.flip(-1) if flip else scaled, mode='tensor')
            predictions.append(_undo(prediction, flip, images.shape[-2:]).softmax(dim=1))
    return torch.stack(predictions).mean(dim=0)


def _undo(prediction: Tensor, flip: bool, size: torch.Size) -> Tensor:
    if prediction.ndim == 2:  # of the whole image
        return prediction
    prediction = prediction.flip(-1) if flip else prediction
    return F.interpolate(prediction, size, mode='bilinear', align_corners=False)


def d4_model(model: nn.Module, dense: bool) -> Callable[[Tensor], Tensor]:
    """The model under ttach's rotations and flips by multiples of 90 degrees, predictions averaged."""
    import ttach

    wrapper = ttach.SegmentationTTAWrapper if dense else ttach.ClassificationTTAWrapper
    return wrapper(lambda images: model(images, mode='tensor'), ttach.aliases.d4_transform(), merge_mode='mean')
