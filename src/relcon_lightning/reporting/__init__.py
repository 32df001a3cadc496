"""Pages, tables and figures of runs, evaluations and cohorts."""
