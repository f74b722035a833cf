"""The teacher of a run: built from its config and checkpoint, and tested once."""

from .load_teacher import load_teacher
from .teacher_score import TeacherScore

__all__ = ['TeacherScore', 'load_teacher']
