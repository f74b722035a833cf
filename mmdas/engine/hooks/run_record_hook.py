"""Resume under the settings that a run began with, or say what is other."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.engine.run_differences import compare_runs
from mmdas.engine.run_record import KEY, describe_run
from mmdas.engine.utils import unwrap
from mmdas.models.settings import DifferenceError

from .resume_check_hook import check_same_weights

LEVELS = {'warning': logging.WARNING, 'info': logging.INFO}
POSITION = 'position'  # in the data, of the record
VALIDATED = 'validated'  # whether the validation that is due at the checkpoint has taken place


class RunRecordHook(Hook):
    """Save the settings of a run with each checkpoint, and compare them on resume.

    A loop registers it. The record is plain data, so that no config of a checkpoint is run to know it. Differences that
    would break the run are refused, others are told in the log: :mod:`mmdas.engine.run_differences`.

    Args:
        loop: of the training or search. One with a method ``position(meta)``, batches of this process that are taken,
            in a training with epochs those of the epoch, finds them as :attr:`position` after a resume. One with a
            method ``is_validated(meta)`` finds what it said as :attr:`validated`.

    Raises:
        DifferenceError: on resume, naming the settings, or the weights that do not fit.
    """

    priority = 'VERY_HIGH'  # before the weights and averages are looked at

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.position: int | None = None
        self.validated: bool | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the record."""
        record = describe_run(runner)
        if hasattr(self.loop, 'position'):
            record[POSITION] = self.loop.position(checkpoint['meta'])
        if hasattr(self.loop, 'is_validated'):
            record[VALIDATED] = self.loop.is_validated(checkpoint['meta'])
        checkpoint[KEY] = record

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, before the weights are loaded, which have to fit as well."""
        if not runner.cfg.get('resume'):
            return
        source = runner.cfg.get('load_from') or runner.work_dir
        was = checkpoint.get(KEY)
        if isinstance(was, dict):
            self._compare(runner, was, checkpoint['meta']['iter'], source)
        else:
            runner.logger.info('the checkpoint does not say under which settings it was made: they are not compared')
        check_same_weights(unwrap(runner.model), checkpoint, str(source))

    def _compare(self, runner: Runner, was: dict[str, Any], iterations: int, source: str) -> None:
        is_ = describe_run(runner)
        found = compare_runs(was, is_, iterations)
        refused = [one.text for one in found if one.level == 'refused']
        if refused:
            raise DifferenceError(
                f'cannot resume from {source}: {"; ".join(refused)}. Give the '
                'settings of its run, whose work directory keeps its config, another --work-dir to begin anew, or take '
                'its weights alone by --cfg-options load_from=CHECKPOINT without --resume'
            )
        for one in found:
            runner.logger.log(LEVELS[one.level], f'resumed under other settings: {one.text}')
        self.validated = was.get(VALIDATED)
        if was.get(POSITION) is not None:
            self.position = was[POSITION] * _batch(was) // _batch(is_)


def _batch(record: dict[str, Any]) -> int:
    """Samples of an iteration in all processes; 1 where a batch sampler decides it."""
    return (record.get('batch_size') or 1) * (record.get('processes') or 1)
