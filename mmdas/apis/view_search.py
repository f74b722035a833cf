"""Search the views of an image that a trained model should average at test time."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.utils import track_iter_progress
from torch import Tensor
from torch.utils.data import Subset

from mmdas.augment.content import content_sizes
from mmdas.engine.utils import main_head
from mmdas.hosts import Host
from mmdas.models.views import ViewModel
from mmdas.search.test_time import (
    GROUPS,
    MAX_VIEWS,
    PRICE,
    View,
    ViewPolicy,
    ViewTable,
    build_views,
    choose_views,
    decide,
)
from mmdas.search.test_time.search import deal

from .config_files import host_of, require_checkpoint
from .held_out import held_out_loader
from .runner import build_runner
from .view_policy import use_views

IN_ORDER: dict[str, Any] = {'sampler': {'type': 'DefaultSampler', 'shuffle': False}, 'persistent_workers': False}
IMAGES = 2000  # held out, at most: a search takes minutes, whatever the size of the data set


@dataclass(frozen=True)
class ViewSearchOptions:
    """Options of a search of views.

    Args:
        groups: of views to choose from, words of ``mmdas.search.test_time.GROUPS``.
        max_views: largest number of views.
        price: of a further view, in nats of the mean log-likelihood.
        images: held-out images that are used, at most; drawn at random.
        holdout: part of the training set that is taken in place of the validation's data.
        metric: of the evaluator that decides, higher being better. Default: mIoU, or top-1 accuracy.
        seed: of all that is drawn.

    Raises:
        ValueError: if one is not usable, naming it.
    """

    groups: Sequence[str] = tuple(GROUPS)
    max_views: int = MAX_VIEWS
    price: float = PRICE
    images: int = IMAGES
    holdout: float | None = None
    metric: str | None = None
    seed: int = 0
    views: tuple[View, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'views', build_views(self.groups))
        if self.max_views < 1:
            raise ValueError(f'--max-views is {self.max_views}, expected at least 1')
        if not 0 <= self.price < 10:
            raise ValueError(f'--price is {self.price}, expected nats from 0 to 10')
        if self.images < 2:
            raise ValueError(f'--images is {self.images}, expected at least 2: one learns, one decides')


@dataclass(frozen=True)
class FoundViews:
    """Result of :func:`search_views`.

    Args:
        policy: the image alone, unless the views are better. Its origin holds scores, cost and what was tried.
        image: one of those that learned, (C, H, W), in colours from 0 to 1, for a picture of the views.
    """

    policy: ViewPolicy
    image: Tensor


def search_views(cfg: Config, checkpoint: str | Path, options: ViewSearchOptions | None = None) -> FoundViews:
    """Learn views and weights on one half of the held-out images, and decide on the other half whether they are used.

    The half that decides is tested with the config's own ``val_evaluator``, once with the image alone and once with the
    views, so that the two scores are those that a test would print.

    Args:
        cfg: of the model's training, as :func:`mmdas.apis.load_config` gives it; changed.
        checkpoint: of the trained model.
        options: of the search. Default: those of :class:`ViewSearchOptions`.

    Returns:
        The policy, with an image.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        CheckpointError: if it is damaged.
        ValueError: if the config has no held-out data, or no metric of the name, or its model cannot look at views.
    """
    options = options or ViewSearchOptions()
    start = time.perf_counter()
    require_checkpoint(str(checkpoint))
    host, name = host_of(cfg), str(cfg.filename or cfg.get('experiment_name'))
    loader, facts = held_out_loader(cfg, options.holdout, options.seed)
    runner = frozen_model(cfg, checkpoint)
    if 'warning' in facts:
        print_log(facts['warning'], 'current', logging.WARNING)
    whole = runner.build_dataloader(loader).dataset
    chosen = draw(len(whole), options)
    learners = deal(len(chosen), options.seed)
    halves = [
        runner.build_dataloader({**loader, 'dataset': Part(whole, chosen[part].tolist()), **IN_ORDER})
        for part in (learners, ~learners)
    ]
    views = usable_views(runner.model, options.views, halves[0])
    table = learn(runner.model, host, halves[0], views, options)
    picked = choose_views(
        table.probabilities, table.seen, options.max_views, options.price, [view.sees_all for view in views]
    )
    found = ViewPolicy(tuple(views[place] for place in picked.places), picked.weights)
    judge = Judge(runner, cfg.get('val_evaluator') or cfg.get('test_evaluator'), whole.metainfo, halves[1], options)
    scores, cost = judge.compare(host, found)
    origin = {
        'method': 'test-time search',
        'config': name,
        'checkpoint': str(checkpoint),
        'data': {**facts, 'learn': int(learners.sum()), 'decide': int((~learners).sum())},
        'metric': judge.metric,
        'scores': scores,
        'milliseconds_an_image': cost,
        'temperature': table.temperature,
        'max_views': options.max_views,
        'price': options.price,
        'seed': options.seed,
        'date': datetime.now().isoformat(timespec='seconds'),
        'search_cost': {'seconds': round(time.perf_counter() - start, 1), 'views': len(views)},
    }
    return FoundViews(decide(found, scores, origin), example(runner.model, halves[0]))


class Part(Subset):
    """Some images of a data set; MMEngine copies what it makes a loader of, and this is not copied."""

    def __deepcopy__(self, memo: dict) -> 'Part':
        return self


def frozen_model(cfg: Config, checkpoint: str | Path) -> Runner:
    """A runner whose model looks at views, with the weights of a checkpoint.

    Raises:
        ValueError: for several processes, or a model that cannot look at views.
    """
    if cfg.get('launcher', 'none') != 'none':
        raise ValueError(f'--launcher {cfg.launcher}: a search of views runs in one process; leave it out')
    cfg.load_from, cfg.resume = str(checkpoint), False
    use_views(cfg, None)
    runner = build_runner(cfg)
    runner.load_checkpoint(str(checkpoint))
    runner.model.eval()
    return runner


def draw(images: int, options: ViewSearchOptions) -> Tensor:
    """Numbers of the images that are used, in a random order.

    Raises:
        ValueError: for fewer than two images.
    """
    if images < 2:
        raise ValueError(f'there are {images} held-out images; one has to learn and one to decide, give more')
    return torch.randperm(images, generator=torch.Generator().manual_seed(options.seed))[: options.images]


def usable_views(model: ViewModel, views: Sequence[View], loader: Iterable[dict]) -> tuple[View, ...]:
    """The views without those of colours where the pixels of the images have none that are known; tells so."""
    channels = len(next(iter(loader))['inputs'][0])
    try:
        model.check_views(views, channels)
        return tuple(views)
    except ValueError as error:
        print_log(f'views of colours are left out: {error}', 'current', logging.WARNING)
        return tuple(view for view in views if not view.changes_colours)


@torch.no_grad()
def learn(
    model: ViewModel, host: Host, loader: Iterable[dict], views: Sequence[View], options: ViewSearchOptions
) -> ViewTable:
    """What every view of the images gives to their labels: one pass of the network each.

    Raises:
        ValueError: if an image has no label.
    """
    ignored = getattr(main_head(model.module)[1], 'ignore_index', 255)
    table = ViewTable(views, len(loader.dataset), ignore_index=ignored, seed=options.seed)  # type: ignore[attr-defined]
    for batch in track_iter_progress((loader, len(loader))):  # type: ignore[arg-type]
        images, samples, sizes = model.preprocess(batch)
        if samples is None or not all(host.label in sample for sample in samples):
            raise ValueError(f'an image of the held-out data has no {host.label}; the views are learned on labels')
        labels = [host.labels(sample) for sample in samples]
        shown = model.look(views, images, samples, sizes)
        if host.label_maps:
            fill_maps(table, labels, shown, content_sizes(samples, tuple(images.shape[-2:])))
            continue
        for row, (probabilities, _) in enumerate(shown):
            table.add_classes(row, probabilities, torch.stack(labels).squeeze(-1))
    return table


@torch.no_grad()
def example(model: ViewModel, loader: Iterable[dict]) -> Tensor:
    """The first image, (C, H, W), in colours from 0 to 1: stretched to them where the pixels are not known."""
    images, _, sizes = model.preprocess(next(iter(loader)))
    height, width = sizes[0]
    image = images[:1, :, :height, :width].float()
    if model.pixels is not None:
        return (model.pixels.scale(image) + model.pixels.zero).clamp(0, 1)[0].cpu()
    low, high = image.min(), image.max()
    return ((image - low) / (high - low).clamp(min=1e-6))[0].cpu()


def fill_maps(
    table: ViewTable, labels: Sequence[Tensor], shown: Iterator[tuple[Tensor, Tensor | None]], sizes: Sequence | None
) -> None:
    """Put what all views say of a batch with label maps (1, H, W) into the table."""
    drawn = [table.draw_pixels(label[0]) for label in labels]
    for row, (probabilities, seen) in enumerate(shown):
        assert seen is not None
        for place, (label, pixels) in enumerate(zip(labels, drawn, strict=True)):
            height, width = sizes[place] if sizes else probabilities.shape[-2:]
            content = (slice(None), slice(height), slice(width))
            table.add_pixels(row, probabilities[place][content], seen[place][content], label.shape[-2:], pixels)


class Judge:
    """Tests policies on the half of the images that decides.

    Args:
        runner: with the model.
        evaluator: config of what scores.
        metainfo: of the data set.
        loader: of the images.
        options: of the search.
    """

    def __init__(self, runner: Runner, evaluator: Any, metainfo: dict, loader: Any, options: ViewSearchOptions) -> None:
        self.model: Any = runner.model
        self.evaluator: Evaluator = runner.build_evaluator(evaluator)
        self.evaluator.dataset_meta = metainfo
        self.loader = loader
        self.metric = options.metric

    def compare(self, host: Host, found: ViewPolicy) -> tuple[dict[str, float], dict[str, float]]:
        """Scores of the image alone and of views, and milliseconds an image of both."""
        scores, cost = {}, {}
        for name, policy in (('image', ViewPolicy()), ('views', found)):
            scores[name], cost[name] = self.test(host, policy)
        return scores, cost

    @torch.no_grad()
    def test(self, host: Host, policy: ViewPolicy) -> tuple[float, float]:
        """Score of a policy, and milliseconds an image, without loading and scoring.

        Raises:
            ValueError: if the evaluator has no metric of the name.
        """
        self.model.use(policy)
        seconds, images = 0.0, 0
        for batch in track_iter_progress((self.loader, len(self.loader))):
            start = now()
            samples = self.model.test_step(batch)
            seconds += now() - start
            images += len(samples)
            self.evaluator.process(data_samples=samples, data_batch=batch)
        metrics = self.evaluator.evaluate(images)
        self.metric = self.metric or host.metric
        if self.metric not in metrics:
            raise ValueError(f'the evaluator has no metric {self.metric!r}; give --metric one of {sorted(metrics)}')
        return round(float(metrics[self.metric]), 4), round(1e3 * seconds / images, 3)


def now() -> float:
    """Seconds, when the device has done its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
