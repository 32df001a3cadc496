"""``relcon-inspect``: summarise a cohort store before training."""

from __future__ import annotations

import logging
from os.path import relpath
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from relcon_lightning.data.inspect import STILL_G, Inspection, inspect
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.reporting.cohort import overview
from relcon_lightning.reporting.page import write_page

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Print a summary of the store of ``data=...`` and write a page with figures."""
    store = CohortStore.open(config.data.datamodule.store, config.data.verify)
    found = inspect(store, config.n_windows, config.examples, config.seed)
    facts = _facts(store, found)
    table = Table(title=f"{store.info.name}: {store.path}", title_justify="left", box=SIMPLE_HEAD, show_header=False)
    for name, value in facts.items():
        table.add_row(name, value)
    console = Console()
    console.print(table)
    if len(found.labels):
        console.print(_label_table(found.labels))
    tables = (
        {"Labels": found.labels.assign(hours=found.labels["hours"].map("{:.2f}".format))} if len(found.labels) else {}
    )
    picture = overview(found, store.sampling_rate)
    page = write_page(
        Path(relpath(config.run_dir)) / "cohort.html", store.info.name, facts, tables, {"Cohort": picture}
    )
    log.info("Page: %s", page)


def _facts(store: CohortStore, found: Inspection) -> dict[str, str]:
    hours, info = found.hours, store.info
    unlabelled = len(store.recordings) - store.segments["recording_id"].nunique()
    return {
        "Participants": f"{len(hours)}",
        "Recordings": f"{len(store.recordings)}, {unlabelled} of them without segments",
        "Hours": f"{hours.sum():.2f}; {hours.min():.2f} to {hours.max():.2f} per person (median {hours.median():.2f})",
        "Rate": f"{store.sampling_rate:g} Hz",
        "Position": info.position,
        "Norm at rest": _norm(found),
        "Still": f"{found.still_share:.0%} of 2.56 s windows (standard deviation of the norm below {STILL_G} g)",
        "Clipped": f"{found.clipped_share:.1%} of windows stay at their minimum or maximum for three samples",
        "Gaps": _gaps(found.gaps_s),
        "Left out": "; ".join(f"{name}: {why}" for name, why in store.excluded.items()) or "nothing",
        "Source": f"{info.source} ({info.license})",
        "Citation": info.citation,
    }


def _norm(found: Inspection) -> str:
    if not len(found.still_norm):
        return "no still windows"
    low, median, high = np.quantile(found.still_norm, [0.05, 0.5, 0.95])
    return f"{median:.3f} g, 5 to 95 %: {low:.3f} to {high:.3f} g (expected: 1 g)"


def _gaps(gaps_s: np.ndarray) -> str:
    if not len(gaps_s):
        return "none between recordings with a known start"
    return f"{len(gaps_s)} between recordings, median {np.median(gaps_s):.1f} s, longest {gaps_s.max() / 3600:.2f} h"


def _label_table(labels: pd.DataFrame) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("label")
    for name in ("hours", "participants"):
        table.add_column(name, justify="right")
    for label, hours, people in zip(labels.index, labels["hours"], labels["participants"], strict=True):
        table.add_row(str(label), f"{hours:.2f}", str(people))
    return table
