"""Augments that need the model."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.engine.utils import unwrap
from mmdas.registry import HOOKS


@HOOKS.register_module()
class AugmentHook(Hook):
    """Tell the augments of the data preprocessor which model learns from their batches, before the training.

    The tools add it to every run whose data preprocessor has ``augments``.
    """

    def before_train(self, runner: Runner) -> None:
        """Hand over the model."""
        model = unwrap(runner.model)
        model.data_preprocessor.augments.use_model(model)
