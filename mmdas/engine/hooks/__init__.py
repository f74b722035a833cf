"""Hooks of searches and trainings."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .augment_hook import AugmentHook
from .clip_hook import ClipHook
from .data_files_hook import DataFilesHook
from .distill_hook import DistillHook
from .feature_hook import FeatureHook
from .finite_loss_hook import FiniteLossHook
from .keep_policy_hook import KeepPolicyHook
from .label_check_hook import LabelCheckHook
from .mean_teacher_hook import MeanTeacherHook
from .plain_start_hook import PlainStartHook
from .policy_hook import PolicyHook
from .random_state_hook import RandomStateHook
from .resume_check_hook import ResumeCheckHook
from .saliency_hook import SaliencyHook
from .search_progress_hook import SearchProgressHook
from .self_distill_hook import SelfDistillHook
from .stop_signal_hook import RunStopped, StopSignalHook

__all__ = [
    'AtomicCheckpointHook',
    'ClipHook',
    'DataFilesHook',
    'DistillHook',
    'FeatureHook',
    'FiniteLossHook',
    'AugmentHook',
    'KeepPolicyHook',
    'LabelCheckHook',
    'MeanTeacherHook',
    'PlainStartHook',
    'PolicyHook',
    'RandomStateHook',
    'ResumeCheckHook',
    'RunStopped',
    'SaliencyHook',
    'SearchProgressHook',
    'SelfDistillHook',
    'StopSignalHook',
]
