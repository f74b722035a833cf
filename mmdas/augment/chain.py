"""The augments of a training, one after the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mmdas.registry import AUGMENTS, build_at
from mmdas.search.policy_file import PolicyError

Augment = Callable[[Tensor, Any], tuple[Tensor, Any]]


class AugmentError(ValueError):
    """An augment that a config describes and that cannot be; the message names its place."""


class AugmentChain:
    """Steps on batches that a data preprocessor of DAS takes before clips are made.

    Each step gets the whole batch as the toolbox leaves it, after its own ``batch_augments``: images (B, C, H, W) on
    the device, normalised and padded, and their samples, with label maps in the size of the images, classes, or scores
    of all classes. It moves the labels with the pixels and leaves the content of each image in its place. It gives new
    tensors and samples, since a batch may be used again.

    A step that needs the model, such as its gradients, has a method ``use_model(model)``.
    ``model.data_preprocessor.to_inputs`` makes of images what the model takes. No module: a step may hold the model
    that holds it. A step that learns says so by ``learns``, and has ``state_dict()`` and ``load_state_dict(state)``, so
    that a training resumes.

    Args:
        steps: callables ``(images, samples) -> (images, samples)``, or their configs.

    Raises:
        AugmentError: for a step that cannot be built or called, or two that mix labels.
        PolicyError: for a policy that is none.
    """

    def __init__(self, steps: Sequence[Mapping | Augment]) -> None:
        self.steps = [build_augment(step, f'data_preprocessor.augments[{place}]') for place, step in enumerate(steps)]
        for index, step in enumerate(self.steps):
            if not callable(step):
                raise AugmentError(
                    f'data_preprocessor.augments[{index}] must be a callable (images, samples) -> (images, samples), '
                    f'or the config of one, got {step!r}'
                )
        mixers = [(place, step) for place, step in enumerate(self.steps) if getattr(step, 'mixes_labels', False)]
        if len(mixers) > 1:
            found = ' and '.join(f'augments[{place}] ({type(step).__name__})' for place, step in mixers)
            raise AugmentError(
                f'data_preprocessor.{found} mix labels, the later ones what is mixed already; leave one of them'
            )

    def __call__(self, images: Tensor, samples: Any) -> tuple[Tensor, Any]:
        """Images and samples after all steps."""
        for step in self.steps:
            images, samples = step(images, samples)
        return images, samples

    def use_model(self, model: nn.Module) -> None:
        """Tell the steps that ask for it which model learns from their batches, as its owner does before a training."""
        for step in self.steps:
            if hasattr(step, 'use_model'):
                step.use_model(model)

    def state_dict(self) -> dict[str, Any]:
        """States of the steps that have one, by their places."""
        states = {str(place): step.state_dict() for place, step in enumerate(self.steps) if hasattr(step, 'state_dict')}
        return {place: state for place, state in states.items() if state}

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state_dict`, after :meth:`use_model`.

        Raises:
            ValueError: for the state of a step that is not there or has none, and for a step that learns without one.
        """
        for number, learner in enumerate(self.steps):
            if getattr(learner, 'learns', False) and str(number) not in states:
                raise ValueError(
                    f'the checkpoint has no state of data_preprocessor.augments[{number}] ({type(learner).__name__}), '
                    'which learns along with the model; resume with the augments of its training, or start from its '
                    'weights by --cfg-options load_from=CHECKPOINT without --resume'
                )
        for place, state in states.items():
            step: Any = self.steps[int(place)] if int(place) < len(self.steps) else None
            if not hasattr(step, 'load_state_dict'):
                raise ValueError(
                    f'the checkpoint has a state of data_preprocessor.augments[{place}], which is '
                    f'{type(step).__name__ if step else "not there"} now; resume with the augments of its training'
                )
            step.load_state_dict(state)


def build_augment(step: Any, place: str) -> Any:
    """A step of its config; any other as it is.

    Args:
        step: of the list in a config.
        place: of the step, for messages.

    Raises:
        AugmentError: for a type that is not there, or options that it does not take.
        PolicyError: for a policy that is none.
    """
    if not isinstance(step, Mapping):
        return step
    return build_at(AUGMENTS, step, place, AugmentError, kept=(PolicyError,))
