"""How far a training is."""

from mmengine.logging import MessageHub


def training_progress() -> float:
    """Part of the current training that is done, in [0, 1]; 0 where nothing is known.

    MMEngine's ``RuntimeInfoHook``, which every runner has, notes the iteration before each of them.
    """
    hub = MessageHub.get_current_instance()
    done, total = hub.get_info('iter', 0), hub.get_info('max_iters', 0)
    return min(done / total, 1.0) if total else 0.0
