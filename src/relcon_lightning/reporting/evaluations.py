"""Collect finished evaluations into one table per task, with the layout of the paper's tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import pandas as pd

from relcon_lightning.data.store.parquet import read_table
from relcon_lightning.downstream.statistics import clearly_best
from relcon_lightning.downstream.systems import HANDCRAFTED, HANDCRAFTED_LINEAR, MEAN, NORMALISED, RANDOM
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.markdown import inline, markdown_table
from relcon_lightning.reporting.page import write_page
from relcon_lightning.reporting.report import LEVELS, score_table, words

BASELINES = {RANDOM, NORMALISED, HANDCRAFTED, HANDCRAFTED_LINEAR, MEAN}
SYSTEMS = "systems.json"  # in the folder of an evaluation: the checkpoints of each trained system
NOTE = (
    "Mean ± standard deviation over seeds. Bold: better than every other system; the paired 95 % interval over people "
    "of each difference excludes 0. Without bold, no system is. Seconds per seed are the time of features and probes."
)


@dataclass(frozen=True)
class SavedEvaluation:
    """Content of the folder of an evaluation.

    Attributes:
        folder: Output folder of ``relcon-eval``.
        title: Title of the task.
        data: Name and citation of the recordings.
        units: Units of the targets of a regression.
        scores: See :class:`~relcon_lightning.downstream.evaluation.Evaluation`.
        predictions: See :class:`~relcon_lightning.downstream.evaluation.Evaluation`.
        costs: See :class:`~relcon_lightning.downstream.evaluation.Evaluation`.
    """

    folder: Path
    title: str
    data: str
    units: dict[str, str]
    scores: pd.DataFrame
    predictions: pd.DataFrame
    costs: pd.DataFrame

    @property
    def cohort(self) -> str:
        """Name of the recordings."""
        return self.data.split(":")[0]

    @classmethod
    def read(cls, folder: str | Path) -> SavedEvaluation:
        """Read the folder of an evaluation.

        Raises:
            DataError: The folder is damaged. The message names it.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "facts.json").read_text("utf-8"))
            tables = (
                read_table((folder / f"{name}.parquet").read_bytes()) for name in ("scores", "predictions", "costs")
            )
            return cls(folder, about["title"], about["facts"].get("Data", ""), about["units"], *tables)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} contains no complete evaluation ({error}): run relcon-eval again.") from error


def find_evaluations(patterns: str | Sequence[str]) -> list[SavedEvaluation]:
    """Find the evaluations in folders that match a pattern such as ``reports/*/*``.

    Raises:
        ConfigError: No folder matches.
        DataError: An evaluation is damaged.
    """
    asked = [patterns] if isinstance(patterns, str) else list(patterns)
    folders = sorted({Path(p) for pattern in asked for p in glob(pattern, recursive=True)})  # noqa: PTH207
    found = [SavedEvaluation.read(folder) for folder in folders if (folder / "scores.parquet").is_file()]
    if not found:
        raise ConfigError(
            f"reports={', '.join(asked)} matches no folder of relcon-eval (current folder: {Path.cwd()})."
        )
    return found


def tables(evaluations: Sequence[SavedEvaluation]) -> dict[str, pd.DataFrame]:
    """One table per evaluation and level, by heading: systems as rows, metrics and costs as columns."""
    made: dict[str, pd.DataFrame] = {}
    for one in evaluations:
        for level in one.scores["level"].unique():
            name = f"{words(level)}, {one.units[level]}" if one.units else LEVELS[level]
            heading = f"{one.title}, {one.cohort}: {name}"
            if heading in made:
                heading = f"{heading} [{one.folder}]"
            made[heading] = _table(one, level)
    return made


def _table(one: SavedEvaluation, level: str) -> pd.DataFrame:
    table = score_table(one.scores, level)
    costs = one.costs.set_index("system")
    table["parameters"] = [f"{costs.loc[system, 'parameters']:,}" for system in table.index]
    table["seconds"] = [f"{costs.loc[system, 'seconds']:.1f}" for system in table.index]
    best = clearly_best(one.predictions[one.predictions["level"] == level], draws=500)
    if best is not None:
        shown = "MAE" if one.units else "macro F1"
        table[shown] = [f"**{cell}**" if name == best else cell for name, cell in table[shown].items()]
    return table.rename(index=lambda system: f"{system} (baseline)" if system in BASELINES else system)


def write_tables(evaluations: Sequence[SavedEvaluation], folder: str | Path) -> Path:
    """Write ``tables.md``, ``tables.html`` (self-contained) and ``tables.parquet`` (one row per mean); returns the
    page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = tables(evaluations)
    lines = ["# Results", ""]
    for heading, table in made.items():
        lines += [f"## {inline(heading)}", "", *markdown_table(table), ""]
    citations = {one.cohort: one.data for one in evaluations}
    (folder / "tables.md").write_text(
        "\n".join([*lines, NOTE, "", *map(inline, citations.values()), ""]), encoding="utf-8"
    )
    _tidy(evaluations).to_parquet(folder / "tables.parquet", index=False)
    plain = {heading: table.map(lambda cell: str(cell).replace("**", "")) for heading, table in made.items()}
    facts = {f"Data {name}": text for name, text in citations.items()}
    return write_page(folder / "tables.html", "Results", facts, plain, {}, NOTE)


def _tidy(evaluations: Sequence[SavedEvaluation]) -> pd.DataFrame:
    parts = []
    for one in evaluations:
        grouped = one.scores.groupby(["system", "level", "metric"], sort=False)["value"]
        part = grouped.agg(mean="mean", std=lambda x: x.std(ddof=1), seeds="size").reset_index()
        cost = one.costs.set_index("system")
        part = part.join(cost, on="system")
        parts.append(part.assign(task=one.title, data=one.data, folder=str(one.folder)))
    return pd.concat(parts, ignore_index=True)
