"""The search of views for any network: no runner, no config."""

import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from mmdas.search.das.pixels import Pixels

from .policy import ViewPolicy
from .probabilities import to_probabilities, weighted_mean
from .scores import Score
from .view import View
from .view_space import build_views
from .view_table import NUM_PIXELS, ViewTable
from .weights import choose_views

MAX_VIEWS = 4
PRICE = 0.002  # nats of the mean log-likelihood

Predict = Callable[[Tensor], Tensor]
Batches = Sequence[tuple[Tensor, Tensor]]


def predict_views(predict: Predict, images: Tensor, policy: ViewPolicy, pixels: Pixels | None = None) -> Tensor:
    """Weighted mean of the probabilities of several views, each carried back to the image.

    Args:
        predict: images (N, C, h, w) of any size -> logits (N, K), or (N, K, h', w') over the image.
        images: (N, C, H, W), normalised as the network takes them.
        policy: the views and weights.
        pixels: how normalised images stand to colours, see :meth:`View.apply`.

    Returns:
        Probabilities (N, K) or (N, K, H, W).
    """
    shown = (look(predict, images, view, pixels) for view in policy.views)
    return weighted_mean((weight, *part) for weight, part in zip(policy.weights, shown, strict=True))


def look(predict: Predict, images: Tensor, view: View, pixels: Pixels | None = None) -> tuple[Tensor, Tensor | None]:
    """Probabilities of a view, carried back to the images, and which pixels it shows (None: no maps)."""
    probabilities = to_probabilities(predict(view.apply(images, pixels)))
    if probabilities.ndim == 2:
        return probabilities, None
    return view.undo(probabilities, tuple(images.shape[-2:]))


@torch.no_grad()
def search_views(
    predict: Predict,
    batches: Batches,
    views: Sequence[View] | None = None,
    *,
    pixels: Pixels | None = None,
    max_views: int = MAX_VIEWS,
    price: float = PRICE,
    ignore_index: int = 255,
    num_pixels: int = NUM_PIXELS,
    seed: int = 0,
) -> ViewPolicy:
    """Learn which views of an image to average, with which weights, for a network that stays as it is.

    Half of the images, drawn at random, learn the weights. The other half decide: the policy is the image alone unless
    it is better there by top-1 accuracy or mIoU.

    Args:
        predict: images -> logits, as of :func:`predict_views`; the network is in evaluation mode.
        batches: held-out images (N, C, H, W) with labels (N,), or label maps (N, H, W); gone through twice. Images of
            one batch have one size.
        views: to choose from, the image among them. Default: those of :func:`build_views`.
        pixels: how normalised images stand to colours. Default: they are colours in [0, 1].
        max_views: largest number of views.
        price: of a further view, in nats of the mean log-likelihood.
        ignore_index: label of a pixel that does not count.
        num_pixels: of all label maps, for the learning.
        seed: of the halves and the pixels.

    Returns:
        The policy; its ``origin`` has both scores and the seconds.

    Raises:
        ValueError: if there are fewer than two images, or no view shows every pixel.
    """
    start = time.perf_counter()
    views = tuple(build_views() if views is None else views)
    learners = deal(sum(len(images) for images, _ in batches), seed)
    table = ViewTable(views, int(learners.sum()), num_pixels, ignore_index, seed)
    for images, labels in halves(batches, learners):
        fill(table, labels, (look(predict, images, view, pixels) for view in views))
    sees_all = [view.sees_all for view in views]
    chosen = choose_views(table.probabilities, table.seen, max_views, price, sees_all)
    found = ViewPolicy(tuple(views[place] for place in chosen.places), chosen.weights)
    plain = ViewPolicy()
    scores = {}
    for name, policy in (('image', plain), ('views', found)):
        score = Score(ignore_index)
        for images, labels in halves(batches, ~learners):
            score.add(predict_views(predict, images, policy, pixels), labels)
        scores[name] = score.value()
    origin = {
        'method': 'test-time search',
        'images': {'learn': int(learners.sum()), 'decide': int((~learners).sum())},
        'scores': scores,
        'temperature': table.temperature,
        'seed': seed,
        'search_cost': {'seconds': round(time.perf_counter() - start, 1), 'views': len(views)},
    }
    return decide(found, scores, origin)


def decide(found: ViewPolicy, scores: dict[str, float], origin: dict) -> ViewPolicy:
    """The policy that was found, or the image alone unless the former is better.

    Args:
        found: by the half that learns.
        scores: of the half that decides, of the ``'image'`` and the ``'views'``; higher is better.
        origin: of the policy.
    """
    better = scores['views'] > scores['image']
    tried = [f'{weight:.3f} {view}' for view, weight in zip(found.views, found.weights, strict=True)]
    origin = {**origin, 'decision': 'views' if better else 'image alone', 'tried': tried}
    return ViewPolicy(found.views, found.weights, origin) if better else ViewPolicy(origin=origin)


def deal(images: int, seed: int) -> Tensor:
    """(images,), true for those that learn: a random half.

    Raises:
        ValueError: for fewer than two images.
    """
    if images < 2:
        raise ValueError(f'a search of views needs two held-out images at least, got {images}')
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    return torch.zeros(images, dtype=torch.bool).index_fill(0, order[: images // 2], True)


def halves(batches: Batches, chosen: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    """The chosen images of batches, with their labels."""
    first = 0
    for images, labels in batches:
        kept = chosen[first : first + len(images)]
        first += len(images)
        if kept.any():
            yield images[kept.to(images.device)], labels[kept.to(labels.device)]


def fill(table: ViewTable, labels: Tensor, shown: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Put what all views say of a batch into the table; labels (N,) or (N, H, W)."""
    drawn = [table.draw_pixels(label) for label in labels] if labels.ndim == 3 else []
    for row, (probabilities, seen) in enumerate(shown):
        if seen is None:
            table.add_classes(row, probabilities, labels)
            continue
        for image, pixels in enumerate(drawn):
            table.add_pixels(row, probabilities[image], seen[image], labels.shape[-2:], pixels)
