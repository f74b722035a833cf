"""A page about a run, or about several: one file of HTML that needs no network."""

from .page import write_report
from .run_record import ReportError, RunRecord, read_run

__all__ = ['ReportError', 'RunRecord', 'read_run', 'write_report']
