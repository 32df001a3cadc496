"""``relcon-report``: finished evaluations as one table a task."""

from __future__ import annotations

import logging
from os.path import relpath
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from relcon_lightning.downstream.report import print_table
from relcon_lightning.evaluations import find_evaluations, tables, write_tables

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Gather the evaluations of ``reports=...`` and write the tables."""
    asked = config.reports if isinstance(config.reports, str) else OmegaConf.to_container(config.reports)
    found = find_evaluations(asked)  # type: ignore[arg-type]
    page = write_tables(found, Path(relpath(config.folder)))
    for heading, table in tables(found).items():
        print_table(table.map(lambda cell: str(cell).replace("**", "")), heading)
    log.info("%d evaluations: %s, %s and %s", len(found), page, page.with_suffix(".md"), page.with_suffix(".parquet"))
