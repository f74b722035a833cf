"""Gradients that are being accumulated, in checkpoints."""

from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdas.engine.utils import unwrap

KEY = 'gradients'


class GradientStateHook(Hook):
    """Save the gradients of a step that is not yet taken (``accumulative_counts``), and hand them back on resume.

    A loop registers it and calls :meth:`restore` before its first iteration. Not in a distributed run, where each
    process has others: there a resume within an accumulation loses them, as MMEngine's warning says.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Tensor] = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the gradients where a step is accumulated."""
        wrapper = runner.optim_wrapper
        if is_distributed() or not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
            return
        named = unwrap(runner.model).named_parameters()
        checkpoint[KEY] = {name: value.grad.cpu().clone() for name, value in named if value.grad is not None}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember them until :meth:`restore`."""
        self._loaded = checkpoint.get(KEY, {}) if runner.cfg.get('resume') else {}

    def restore(self, runner: Runner) -> None:
        """Give the parameters their gradients."""
        for name, parameter in unwrap(runner.model).named_parameters():
            if name in self._loaded:
                parameter.grad = self._loaded[name].to(parameter.device)
        if self._loaded:
            runner.logger.info('the gradients that were accumulated at the checkpoint are back: none are lost')
        self._loaded = {}
