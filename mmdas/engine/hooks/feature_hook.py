"""Regularise the features of a model while it trains."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmdas.engine.utils import unwrap
from mmdas.models.features import FeatureError, FeatureRegularizer, Placed, choose_sites, place
from mmdas.registry import HOOKS, MODELS, build_at

from .random_state_hook import kept_random_state


@HOOKS.register_module()
class FeatureHook(Hook):
    """Let feature maps of any model of either toolbox pass a regulariser, from the beginning of a training to its end.

    The model keeps its parts, keys and config, so that its checkpoints are ordinary ones. Only the training mode of the
    backbone changes what it computes. Several hooks may be named, for several regularisers.

    Args:
        feature: config of the regulariser, such as ``dict(type='mmdas.DropBlock', rate=0.1)``, or the module.
        sites: paths within the backbone of the modules whose outputs pass it, such as ``['layer3', 'layer4']``; or
            positions among its stages, such as ``[-1]``. Default: the stages of the regulariser.

    Attributes:
        regularizer: what acts where, in words, for the record of the run.

    Raises:
        FeatureError: for a module that is no regulariser of features, or sites that are no list.
    """

    priority = 'NORMAL'

    def __init__(self, feature: Mapping[str, Any] | nn.Module, sites: Sequence[str] | Sequence[int] | None = None):
        built: Any = feature
        if isinstance(feature, Mapping):
            built = build_at(MODELS, feature, 'feature of mmdas.FeatureHook', FeatureError)
        if not isinstance(built, FeatureRegularizer):
            raise FeatureError(
                f'feature of mmdas.FeatureHook is a {type(built).__name__}; give mmdas.ADL, mmdas.DropBlock or '
                'mmdas.MixStyle, or another mmdas.models.features.FeatureRegularizer'
            )
        if isinstance(sites, str):
            raise FeatureError(f'sites of mmdas.FeatureHook is {sites!r}, expected a list; put it in brackets')
        self.feature, self.sites = built, sites
        self.regularizer = f'{built} at {"its stages" if sites is None else list(sites)}'
        self._placed: Placed | None = None

    def before_train(self, runner: Runner) -> None:
        """Put the regulariser at its sites.

        Raises:
            FeatureError: for a search, a model without a backbone, or sites that the backbone does not have.
        """
        if hasattr(runner.train_loop, 'schedule'):
            raise FeatureError(
                'the selection of a search compares losses, which mmdas.FeatureHook would change at random; take it '
                'out of its config'
            )
        model = unwrap(runner.model)
        backbone = getattr(model, 'backbone', None)
        if not isinstance(backbone, nn.Module):
            raise FeatureError(f'{type(model).__name__} has no backbone whose features mmdas.FeatureHook could change')
        with kept_random_state():
            sites = choose_sites(backbone, self.feature, self.sites)
        self._placed = place(self.feature, backbone, sites)
        runner.logger.info(f'{self.feature} acts on {", ".join(sites)} of the backbone in training')

    def after_train(self, runner: Runner) -> None:
        """Make the model what it was."""
        if self._placed is not None:
            self._placed.remove()
            self._placed = None
