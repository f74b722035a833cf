"""The state of MMEngine's early stopping in checkpoints."""

from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.runner import Runner

KEY = 'early_stopping'


class EarlyStoppingStateHook(Hook):
    """Save what an ``EarlyStoppingHook`` has counted with each checkpoint, and hand it back on resume.

    A loop registers it. Without it a resumed run would wait for as many validations again. The checkpoint that is
    written in a validation (``save_best``) has its count if the other hook comes before the checkpoints:
    :func:`mmdas.apis.reliable_run.make_reliable` sees to that.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the counts, and whether the run is to end."""
        hooks = stopping_hooks(runner)
        if hooks:
            counts = [{'wait_count': hook.wait_count, 'best_score': float(hook.best_score)} for hook in hooks]
            checkpoint[KEY] = {'hooks': counts, 'stop': bool(runner.train_loop.stop_training)}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take them over, where the hooks are as many."""
        state, hooks = checkpoint.get(KEY), stopping_hooks(runner)
        if not runner.cfg.get('resume') or state is None or len(state['hooks']) != len(hooks):
            return
        for hook, count in zip(hooks, state['hooks'], strict=True):
            hook.wait_count, hook.best_score = count['wait_count'], count['best_score']
        runner.train_loop.stop_training = state['stop']


def stopping_hooks(runner: Runner) -> list[EarlyStoppingHook]:
    """Those of a run."""
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]
