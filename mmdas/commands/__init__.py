"""The command ``mmdas``: a file for each of its verbs.

The module of a verb has a first line that says what it does, its options (``add_arguments``) and its work (``run``).
Help and slips are told at once: what is slow to import is imported in the functions that need it.
"""

from .main import main, run_command

__all__ = ['main', 'run_command']
