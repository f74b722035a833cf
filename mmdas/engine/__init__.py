"""The search as MMEngine components: loops, steps, optimisers, selections, hooks and metrics."""

from .hooks import (
    AtomicCheckpointHook,
    AugmentHook,
    DataFilesHook,
    DistillHook,
    FeatureHook,
    FiniteLossHook,
    KeepPolicyHook,
    LabelCheckHook,
    PlainStartHook,
    PolicyHook,
    ResumeCheckHook,
    SaliencyHook,
    SearchProgressHook,
    StopSignalHook,
)
from .metrics import ShapeBias
from .optimizers import SearchOptimWrapperConstructor
from .runner import (
    EpochBasedSearchLoop,
    IterBasedSearchLoop,
    ResumableEpochBasedTrainLoop,
    ResumableIterBasedTrainLoop,
)
from .selection import ArgmaxSelection, BaseSelection, BlankSelection, Decision, PerturbationSelection, Score
from .steps import (
    AdversarialStep,
    AlternatingStep,
    DADAStep,
    DDASStep,
    LinearCritic,
    LookAheadStep,
    PerceptronCritic,
    SearchStep,
)

__all__ = [
    'AdversarialStep',
    'AlternatingStep',
    'ArgmaxSelection',
    'AtomicCheckpointHook',
    'AugmentHook',
    'BaseSelection',
    'BlankSelection',
    'DADAStep',
    'DDASStep',
    'DataFilesHook',
    'DistillHook',
    'Decision',
    'EpochBasedSearchLoop',
    'FeatureHook',
    'FiniteLossHook',
    'IterBasedSearchLoop',
    'KeepPolicyHook',
    'LabelCheckHook',
    'LinearCritic',
    'LookAheadStep',
    'PerceptronCritic',
    'PerturbationSelection',
    'PlainStartHook',
    'PolicyHook',
    'ResumableEpochBasedTrainLoop',
    'ResumableIterBasedTrainLoop',
    'ResumeCheckHook',
    'SaliencyHook',
    'Score',
    'SearchOptimWrapperConstructor',
    'SearchProgressHook',
    'SearchStep',
    'ShapeBias',
    'StopSignalHook',
]
