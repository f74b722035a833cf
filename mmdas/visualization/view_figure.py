"""The views of a policy of test time, with their weights."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from torch import Tensor

from mmdas.search.test_time import ViewPolicy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches of a view, between views, of a line above them, below them, and of the narrowest picture.
WIDTH, GAP, LINE, NOTES, LEAST = 1.7, 0.1, 0.21, 0.6, 3.2
LETTERS = 18  # of a line of a title


def save_view_figure(policy: ViewPolicy, image: Tensor, path: str | Path) -> None:
    """Draw the views of a policy into a file.

    Args:
        policy: what to draw.
        image: see :func:`draw_views`.
        path: of the picture; its suffix names the format.
    """
    draw_views(policy, image).savefig(path, dpi=150)


def draw_views(policy: ViewPolicy, image: Tensor) -> 'Figure':
    """Draw what each view of a policy makes of an image, its weight above it, and below what the views gain.

    Args:
        policy: what to draw.
        image: (C, H, W), RGB or grey, from 0 to 1; of several channels more than that the first one is drawn.
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    titles = [
        f'{weight:.2f}\n{fill(str(view), LETTERS)}' for view, weight in zip(policy.views, policy.weights, strict=True)
    ]
    lines = 1 + max(title.count('\n') for title in titles)
    side = WIDTH * image.shape[1] / image.shape[2]
    width, height = max((WIDTH + GAP) * len(titles) + GAP, LEAST), NOTES + side + LINE * lines
    figure = Figure(figsize=(width, height))
    for position, (view, title) in enumerate(zip(policy.views, titles, strict=True)):
        left = GAP + position * (WIDTH + GAP)
        axes = figure.add_axes((left / width, NOTES / height, WIDTH / width, side / height))
        shown = view.apply(image[None])[0].clamp(0, 1)
        shown = shown if len(shown) == 3 else shown[:1].expand(3, *shown.shape[1:])
        axes.imshow(shown.permute(1, 2, 0).numpy(), interpolation='nearest')
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
    figure.text(GAP / width, GAP / height, describe_views(policy), fontsize=8)
    return figure


def describe_views(policy: ViewPolicy) -> str:
    """What the origin of a policy says of its scores and cost, a line each."""
    origin, lines = policy.origin, []
    scores, cost = origin.get('scores'), origin.get('milliseconds_an_image')
    if isinstance(scores, dict):
        metric = origin.get('metric', 'score')
        lines.append(f'{metric}: {scores.get("image")} image, {scores.get("views")} views tried')
    if isinstance(cost, dict):
        lines.append(f'ms an image: {cost.get("image")} image, {cost.get("views")} views tried')
    if 'decision' in origin:
        lines.append(f'decision: {origin["decision"]}')
    return '\n'.join(lines)
