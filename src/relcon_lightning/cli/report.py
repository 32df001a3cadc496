"""``relcon-report``: collect finished evaluations into one table per task, or compare runs."""

from __future__ import annotations

import logging
from os.path import relpath
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from relcon_lightning.errors import ConfigError
from relcon_lightning.reporting.evaluations import SavedEvaluation, find_evaluations, tables, write_tables
from relcon_lightning.reporting.report import print_table
from relcon_lightning.reporting.runs import Run, ends, find_runs, write_runs
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Collect the evaluations of ``reports=...`` into tables, or compare the runs of ``runs=...`` on a page."""
    folder = Path(relpath(config.folder))
    if config.compare == "runs":
        _runs(find_runs(_asked(config.runs)), folder)
    elif config.compare == "reports":
        _reports(find_evaluations(_asked(config.reports)), folder)
    else:
        raise ConfigError(f"compare={config.compare}: expected reports or runs.")


def _reports(found: list[SavedEvaluation], folder: Path) -> None:
    page = write_tables(found, folder)
    for heading, table in tables(found).items():
        print_table(table.map(lambda cell: str(cell).replace("**", "")), heading)
    log.info(
        "%s: %s, %s and %s",
        counted(len(found), "evaluation"),
        page,
        page.with_suffix(".md"),
        page.with_suffix(".parquet"),
    )


def _runs(found: list[Run], folder: Path) -> None:
    page = write_runs(found, folder)
    print_table(ends(found), "Runs", first="run")
    log.info("%s: %s", counted(len(found), "run"), page)


def _asked(patterns: Any) -> str | list[str]:
    return patterns if isinstance(patterns, str) else [str(pattern) for pattern in patterns]
