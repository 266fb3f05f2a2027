"""What a finished run left behind, read back: one page, comparisons, tables. Needs no torch."""

from loopwright.report.run import NoRunError, Run, find_runs, read_run

__all__ = ["NoRunError", "Run", "find_runs", "read_run"]
