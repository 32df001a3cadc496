"""Compare runs without a W&B account: their curves, the differences of their settings, and their last values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import pandas as pd

from relcon_lightning.errors import ConfigError
from relcon_lightning.reporting.curves import curves
from relcon_lightning.reporting.page import write_page
from relcon_lightning.reporting.png import png
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_paths import BEST
from relcon_lightning.runs.record import FILE, flat

_METRICS = Path("csv") / "metrics.csv"
_NOT_SHOWN = {
    *("paths", "logger", "callbacks", "folder", "run_dir", "name", "overwrite", "resume", "from_run", "objective"),
    *("objective_direction", "objectives"),
    "trainer.default_root_dir",
}
_ENDED_WITH = ("train/loss", "val/loss", "val/average_precision", "val/knn_f1", "val/linear_f1")
_MOST = 10  # maximum number of runs in one figure, each with its own colour
NOTE = (
    "Pale lines: training people. Other lines: validation people. Dashed lines: the untrained network. Losses of "
    "different methods cannot be compared."
)


@dataclass(frozen=True)
class Run:
    """Content of the folder of a run.

    Attributes:
        name: Path of the folder, without the parts that all runs share.
        data: Name of the cohort.
        settings: Values of the configuration by dotted key.
        metrics: Table of Lightning's CSV logger.
        best: Step of the best checkpoint, and the value that chose it; empty if there is none.
    """

    name: str
    data: str
    settings: dict[str, Any]
    metrics: pd.DataFrame
    best: str = ""


def find_runs(patterns: str | Sequence[str]) -> list[Run]:
    """Find the runs with a CSV log in folders that match a pattern such as ``runs/*/*/*``.

    Raises:
        ConfigError: No folder matches.
    """
    asked = [patterns] if isinstance(patterns, str) else list(patterns)
    folders = sorted({Path(p) for pattern in asked for p in glob(pattern, recursive=True)})  # noqa: PTH207
    folders = [folder for folder in folders if (folder / _METRICS).is_file() and (folder / FILE).is_file()]
    if not folders:
        raise ConfigError(
            f"runs={', '.join(asked)} matches no folder of relcon-pretrain (current folder: {Path.cwd()})."
        )
    shared = Path(*_common([folder.parts[:-1] for folder in folders]))
    return [_read(folder, str(folder.relative_to(shared))) for folder in folders]


def _common(paths: Sequence[Sequence[str]]) -> list[str]:
    """Leading parts that all paths share."""
    first = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        first.append(parts[0])
    return first


def _read(folder: Path, name: str) -> Run:
    try:
        config = json.loads((folder / FILE).read_text("utf-8"))["config"]
        metrics = pd.read_csv(folder / _METRICS)
        return Run(name, config["data"]["name"], flat(config), metrics, _best(folder / BEST))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder} contains no complete run ({error}): leave it out of runs=, or train it again."
        ) from error


def _best(path: Path) -> str:
    if not path.exists():
        return ""
    try:
        best = Checkpoint.read(path)
    except ConfigError:
        return "cannot be read"
    if best.chosen is None or best.step is None:
        return "cannot be read"
    return f"step {best.step}: {best.chosen.metric} {best.chosen.value:.4g}"


def ends(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: number of steps, last value of each quality metric, and best checkpoint."""
    rows = {}
    for run in runs:
        row = {"steps": str(int(run.metrics["step"].max()) + 1)}
        for name in _ENDED_WITH:
            values = run.metrics[name].dropna().tolist() if name in run.metrics else []
            row[name] = f"{values[-1]:.4g}" if values else ""
        rows[run.name] = row | {"best.ckpt": run.best}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.loc[:, (table != "").any()]


def settings(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run and one column per setting that differs, except locations of files."""
    keys = dict.fromkeys(key for run in runs for key in run.settings if not _NOT_SHOWN & {key, key.split(".")[0]})
    differ = [key for key in keys if len({json.dumps(run.settings.get(key)) for run in runs}) > 1]
    # A value of a method that refers to another key has the same values: one column is enough.
    kept: dict[tuple[str, ...], str] = {}
    for key in sorted(differ, key=lambda name: (name.count("."), name)):
        kept.setdefault(tuple(json.dumps(run.settings.get(key)) for run in runs), key)
    rows = {
        run.name: {key: "" if (v := run.settings.get(key)) is None else str(v) for key in kept.values()} for run in runs
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(kept.values()))


def write_runs(runs: Sequence[Run], folder: str | Path) -> Path:
    """Write ``runs.html``, a self-contained page; returns its path."""
    by_data: dict[str, list[Run]] = {}
    for run in runs:
        by_data.setdefault(run.data, []).append(run)
    pictures, tables = {}, {}
    for data, group in by_data.items():
        tables[f"{data}: last values"] = ends(group)
        if len(group) > 1:
            tables[f"{data}: settings that differ"] = settings(group)
        for begin in range(0, len(group), _MOST):
            part = group[begin : begin + _MOST]
            caption = f"{data}: {', '.join(run.name for run in part)}"
            pictures[caption] = png(curves({run.name: run.metrics for run in part}))
    return write_page(Path(folder) / "runs.html", "Runs", {"Runs": len(runs)}, tables, pictures, NOTE)
