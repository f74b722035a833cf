"""The policy of a training, beside its config and checkpoints."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.augment import PolicyAugment
from mmdas.engine.utils import set_aside, unwrap
from mmdas.registry import HOOKS
from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.das import Policy, PolicyClip, PolicyError


@HOOKS.register_module()
class KeepPolicyHook(Hook):
    """Write the policy that a training uses to its work directory.

    Before training: a checkpoint has been loaded by then, whose policy may stand in for an absent file.

    Args:
        filename: of the policy within the work directory. Another policy that is there already gets another name.
    """

    FILENAME = 'policy.json'

    def __init__(self, filename: str = FILENAME) -> None:
        self.filename = filename

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Write the policies, unless they are there."""
        self._keep_augmentations(runner)
        clip = getattr(getattr(unwrap(runner.model), 'data_preprocessor', None), 'policy', None)
        path = Path(runner.work_dir) / self.filename
        if not isinstance(clip, PolicyClip) or holds(path, clip.policy):
            return
        earlier = set_aside(path)
        if earlier is not None:
            runner.logger.info(f'{path} held another policy than that of this training; it is now {earlier}')
        clip.policy.save(path)
        runner.logger.info(f'The policy of this training is kept in {path}')

    def _keep_augmentations(self, runner: Runner) -> None:
        """Write what the training augments its batches with, as ``augmentation.json``, ``augmentation2.json``, ..."""
        preprocessor = getattr(unwrap(runner.model), 'data_preprocessor', None)
        steps = getattr(getattr(preprocessor, 'augments', None), 'steps', ())
        found = [getattr(step, 'step', step) for step in steps]  # KeepPaste has the augmentation inside
        policies = [step.augmentation.policy for step in found if isinstance(step, PolicyAugment)]
        for number, policy in enumerate(policies):
            path = Path(runner.work_dir) / augmentation_file(number)
            if path.is_file() and holds_augmentation(path, policy):
                continue
            earlier = set_aside(path)
            if earlier is not None:
                tell = runner.logger.warning if runner.iter else runner.logger.info  # after a resume, it is a change
                tell(f'{path} held another policy than that of this training; it is now {earlier}')
            policy.save(path)
            runner.logger.info(f'What this training augments its batches with is kept in {path}')
        left = Path(runner.work_dir) / augmentation_file(len(policies))
        if runner.iter and left.is_file():
            runner.logger.warning(
                f'The training augmented its batches with {left} before; it goes on without that policy'
            )


def augmentation_file(number: int) -> str:
    """Name of the file that keeps an augmentation of a training: ``augmentation.json``, ``augmentation2.json``, ..."""
    return f'augmentation{number + 1 if number else ""}.json'


def holds_augmentation(path: Path, policy: AugmentPolicy) -> bool:
    """Whether a file holds the same augmentation policy."""
    try:
        return AugmentPolicy.load(path) == policy
    except (FileNotFoundError, PolicyError):
        return False


def holds(path: Path, policy: Policy) -> bool:
    """Whether a file holds a policy that makes the same clips."""
    try:
        return Policy.load(path).content() == policy.content()
    except (FileNotFoundError, PolicyError):
        return False
