"""The policy of a search, while it forms and when it is done."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import cv2
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.engine.finite import check_finite
from mmdas.engine.log_image import log_image
from mmdas.engine.utils import PICTURES, find_searchable, set_aside
from mmdas.registry import HOOKS
from mmdas.search.das import Policy, PolicyError, agreement

from .search_pictures import save_pictures
from .search_progress_hook import search_cost


@HOOKS.register_module()
class PolicyHook(Hook):
    """Draw the curves of what is searched and write the policy at the end.

    After training: the loop has made its last decision. The log says how far the policy agrees with those that earlier
    searches left in the same folder.

    Args:
        interval: iterations between two points of the curves.
        filename: of the policy within the work directory. Beside the policy of a cell come its picture, with ``.png``,
            that of the mixtures that the selection started from, with ``_mixtures.png``, and the curves of the mixtures
            over the search, with ``_course.png``. All backends of the visualizer get them, too. A policy that an
            earlier search left there keeps its content under another name, ``policy_1.json``.
    """

    priority = 65  # after LoggerHook: WandB knows no iteration but that of the row before; and before CheckpointHook

    def __init__(self, interval: int = 50, filename: str = 'policy.json') -> None:
        if interval < 1:
            raise ValueError(f'PolicyHook.interval must be at least 1, got {interval}')
        self.interval = interval
        self.filename = filename

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Write what the searchable reports, a cell its mixture weights, to all backends of the visualizer.

        Raises:
            NotFiniteError: in all processes, if what is searched is not finite.
        """
        if self.every_n_train_iters(runner, self.interval):
            runner.train_loop.check_policy()
            self._write(runner)

    @master_only
    def _write(self, runner: Runner) -> None:
        curves = {f'policy/{name}': value for name, value in find_searchable(runner.model).report().items()}
        runner.visualizer.add_scalars(curves, step=runner.iter + 1)

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Write the policy file, its pictures and its cost."""
        if runner.iter < runner.max_iters:
            runner.logger.warning(f'The search stopped at iteration {runner.iter} of {runner.max_iters}: no policy')
            return
        searchable = find_searchable(runner.model)
        check_finite(dict(searchable.named_parameters()), 'no policy is written')
        policy = searchable.to_policy(search_origin(runner))
        path = Path(runner.work_dir) / self.filename
        earlier = set_aside(path)
        if earlier is not None:
            runner.logger.warning(f'{path} was there already; the earlier policy is now {earlier}')
        policy.save(path)
        save_pictures(searchable, policy, path)
        show_pictures(runner, path)
        cost = ', '.join(f'{name.replace("_", "-")} {value:.0f}' for name, value in search_cost(runner).items())
        runner.logger.info(f'The search cost {cost}. Policy: {path}')
        if isinstance(policy, Policy):
            tell_agreement(runner, path, policy)
        if isinstance(policy, Policy) and policy.repeats_image:
            runner.logger.warning(
                'The policy has the identity wherever it matters: its clip repeats the image, as the repeat config '
                "does. A `space` of the cell without 'identity' makes the search take a transformation."
            )


def tell_agreement(runner: Runner, path: Path, policy: Policy) -> None:
    """Log how far a policy agrees with those of earlier searches in its folder, if there are any."""
    others = earlier_policies(path, policy)
    if others:
        text = f'Agreement with the policies of {len(others)} earlier searches in this folder'
        runner.logger.info(f'{text}: {agreement([policy, *others])}')


def earlier_policies(path: Path, policy: Policy) -> list[Policy]:
    """Policies of the same space that :func:`set_aside` has left beside a file, such as ``policy_1.json``."""
    found = []
    for other in sorted(path.parent.glob(f'{path.stem}_*{path.suffix}')):
        with suppress(PolicyError):  # of another method, or no policy at all
            found.append(Policy.load(other))
    return [other for other in found if (other.num_nodes, other.operations) == (policy.num_nodes, policy.operations)]


def show_pictures(runner: Runner, path: Path) -> None:
    """Give the pictures of a policy to all backends of the visualizer, such as TensorBoard."""
    for picture in (path.with_name(path.stem + ending) for ending in PICTURES):
        shown = cv2.imread(str(picture)) if picture.is_file() else None
        if shown is not None:  # a backend that writes files makes no folder: no stroke in the name
            log_image(runner.visualizer, picture.stem, shown[..., ::-1], runner.iter)


def search_origin(runner: Runner) -> dict:
    """Where a policy comes from: config, data, seed, date and cost of its search."""
    loop = runner.train_loop
    weights, policy = runner.train_dataloader.dataset, loop.policy_batches.dataloader.dataset
    inner = getattr(weights, 'dataset', weights)
    return {
        'method': 'search',
        'config': str(runner.cfg.filename or runner.experiment_name),
        'data': {
            'type': type(inner).__name__,
            'root': str(getattr(inner, 'data_root', None)),
            'weights_samples': len(weights),
            'policy_samples': len(policy),
            'holdout_ratio': getattr(weights, 'ratio', None),
            'holdout_seed': getattr(weights, 'seed', None),
        },
        'step': type(loop.step).__name__,
        'selection': type(loop.selection).__name__ if loop.selection is not None else None,
        'iterations': runner.max_iters,
        'seed': runner.seed,
        'date': datetime.now().isoformat(timespec='seconds'),
        'search_cost': search_cost(runner),
    }
