"""What is shown of the policies of a method, beside their file."""

from functools import singledispatch
from pathlib import Path

from mmdas.search import Searchable, SearchedPolicy
from mmdas.search.augmentation import AugmentPolicy, AugmentSearch
from mmdas.search.das import DASCell, Policy
from mmdas.visualization import draw_augmentation, draw_course, draw_mixtures, save_policy_figure
from mmdas.visualization.report import ReportError, read_run


@singledispatch
def save_pictures(searchable: Searchable, policy: SearchedPolicy, path: Path) -> None:
    """Draw a policy and how it was found. A method registers its pictures here; without them it has none.

    Args:
        searchable: after the search.
        policy: its policy.
        path: of the policy's file; the pictures have its name with ``.png``, ``_mixtures.png`` and, where the logs in
            its folder keep the curves, ``_course.png``.
    """


@save_pictures.register
def _(searchable: DASCell, policy: Policy, path: Path) -> None:
    save_policy_figure(policy, path.with_suffix('.png'))
    weights = searchable.logits.detach().softmax(dim=1).cpu().numpy()  # what the selection started from
    figure = draw_mixtures(weights, searchable.edges, searchable.operation_names)
    figure.savefig(path.with_name(f'{path.stem}_mixtures.png'))
    curves = logged_curves(path.parent)
    if any('/' in name for name in curves):
        draw_course(curves, policy).savefig(path.with_name(f'{path.stem}_course.png'))


def logged_curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """What the logs in the folder of a search say of its policy; none where a config keeps no such logs."""
    try:
        return read_run(folder).search
    except ReportError:
        return {}


@save_pictures.register
def _(searchable: AugmentSearch, policy: AugmentPolicy, path: Path) -> None:
    draw_augmentation(policy).savefig(path.with_suffix('.png'))
