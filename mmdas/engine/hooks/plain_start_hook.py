"""Start a model with frames from the weights of a plain one."""

from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from mmdas.engine.utils import unwrap
from mmdas.models.settings import KEY, Recorded
from mmdas.registry import HOOKS

from .resume_check_hook import has_frames, trained_on_frames


@HOOKS.register_module()
class PlainStartHook(Hook):
    """Let what is added to a plain model keep its start when the weights of the plain model are loaded.

    After the checkpoint is read and before its weights are loaded. The log then has one line in place of the list of
    all missing weights; what else is missing or left over is listed as ever.
    """

    priority = 'HIGH'  # after ResumeCheckHook, before EMAHook, which loads its weights at the same time

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the start of what is new to the weights."""
        model = unwrap(runner.model)
        if not has_frames(model) or trained_on_frames(checkpoint):
            return
        weights = checkpoint.get('state_dict', checkpoint)
        added = new_weights(model, weights)
        if not added:
            return
        places = ', '.join(dict.fromkeys(place for place, _ in added))
        weights.update({key: value for _, (key, value) in added})
        own = {key for key in model.state_dict() if not key.endswith((KEY, 'num_batches_tracked'))}
        given = {key for key in weights if not key.endswith('num_batches_tracked')}
        rest = 'all else is loaded' if own == given else 'what else differs follows'
        print_log(f'the checkpoint is of a plain model: {places} new, {rest}', logger='current')


def new_weights(model: nn.Module, weights: Mapping) -> list[tuple[str, tuple[str, object]]]:
    """Place, key and value of each weight of the parts that a plain model lacks, of those that are not given."""
    places = [name for name, module in model.named_modules() if isinstance(module, Recorded)]
    return [
        (place, (key, value))
        for key, value in model.state_dict().items()
        for place in places
        if key.startswith(f'{place}.') and key not in weights and not key.endswith(KEY)
    ]
