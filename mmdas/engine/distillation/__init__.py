"""The teacher of a run: built from its config and checkpoint, tested once, and its logits, where they are kept."""

from .cache_logits import cache_logits
from .fixed_view import fixed_view
from .load_teacher import load_teacher, settings_of
from .teacher_score import TeacherScore

__all__ = ['TeacherScore', 'cache_logits', 'fixed_view', 'load_teacher', 'settings_of']
