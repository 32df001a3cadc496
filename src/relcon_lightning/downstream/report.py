"""The report of an evaluation: on the terminal, as Markdown, as one self-contained HTML page and as Parquet."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from relcon_lightning.downstream import plots
from relcon_lightning.downstream.evaluate import Evaluation
from relcon_lightning.downstream.metrics import CLASSIFICATION

NOTE = (
    "* best, and ahead of the second by more than either standard deviation. ± is the standard deviation over seeds, "
    "which draw random weights, the forest's trees and a bootstrap of the windows a probe is fitted on; it does not "
    "say how much other people would change."
)
LEVELS = {"window": "Window level", "recording": "Recording level (most frequent class of its windows)"}


def score_table(scores: pd.DataFrame, level: str) -> pd.DataFrame:
    """Rows systems, columns metrics, cells ``mean ± std`` over seeds; a star where the best is clear of the noise.

    A star says that the mean is the best and exceeds the second by more than either standard deviation. A single seed
    says nothing of the noise, so it earns no star.
    """
    chosen = scores[scores["level"] == level].groupby(["system", "metric"], sort=False)["value"]
    mean, std = chosen.mean().unstack(sort=False), chosen.std(ddof=0).unstack(sort=False)
    table = mean.map("{:.3f}".format) + " ± " + std.map("{:.3f}".format)
    comparable = len(table) > 1 and scores["seed"].nunique() > 1
    for metric in table if comparable else []:
        first, second = mean[metric].nlargest(2).index
        if mean[metric][first] - mean[metric][second] > max(std[metric][first], std[metric][second]):
            table[metric] = table[metric].where(table.index != first, table[metric] + " *")
    return table.rename(columns=CLASSIFICATION)


def print_report(evaluation: Evaluation, title: str, console: Console | None = None) -> None:
    """Draw the tables on the terminal."""
    console = console or Console()
    for level, heading in LEVELS.items():
        table = Table(title=f"{title}: {heading}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=0)
        scores = score_table(evaluation.scores, level)
        table.add_column("system")  # this one gives way on a narrow terminal: a number cut short is no number
        for name in scores.columns:
            table.add_column(str(name), justify="right", no_wrap=True)
        for system, row in scores.iterrows():
            table.add_row(str(system), *row)
        console.print(table)


def write_report(evaluation: Evaluation, title: str, facts: Mapping[str, object], folder: str | Path) -> Path:
    """Write ``report.md``, ``report.html``, ``scores.parquet`` and the figures.

    Args:
        evaluation: What to report.
        title: Of the report.
        facts: Name and value of what a reader must know: checkpoint, data, participants ...
        folder: Created if missing.

    Returns:
        Path of the HTML page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures = _figures(evaluation)
    for name, (_, png) in figures.items():
        (folder / f"{name}.png").write_bytes(png)
    tables = {heading: score_table(evaluation.scores, level) for level, heading in LEVELS.items()}
    tables["Cost"] = evaluation.costs.set_index("system").map(lambda x: f"{x:,}" if isinstance(x, int) else f"{x:.1f}")
    tables["Data"] = evaluation.sizes
    evaluation.scores.to_parquet(folder / "scores.parquet", index=False)
    (folder / "report.md").write_text(_markdown(title, facts, tables, figures), encoding="utf-8")
    template = jinja2.Environment(autoescape=True).from_string(
        files("relcon_lightning.downstream").joinpath("report.html.j2").read_text("utf-8")
    )
    images = {caption: base64.b64encode(png).decode() for caption, png in figures.values()}
    page = template.render(title=title, facts=facts, tables=tables, note=NOTE, images=images)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder / "report.html"


def _figures(evaluation: Evaluation) -> dict[str, tuple[str, bytes]]:
    """File name to caption and PNG."""
    figures = {
        "f1": (
            "Macro F1, mean and standard deviation over seeds",
            plots.score_bars(evaluation.scores, "f1", "macro F1"),
        )
    }
    first = evaluation.scores["system"].iloc[0]
    for (system, level), (label, predicted) in evaluation.predictions.items():
        if system == first:
            picture = plots.confusion(label, predicted, evaluation.classes, f"{system}, {level} level")
            figures[f"confusion_{level}"] = (f"Confusion of {system}, {level} level, first seed", picture)
    return figures


def _markdown(
    title: str,
    facts: Mapping[str, object],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, tuple[str, bytes]],
) -> str:
    lines = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    for heading, table in tables.items():
        lines += [f"## {heading}", ""]
        lines.append("| " + " | ".join(["", *map(str, table.columns)]) + " |")
        lines.append("|---" * (len(table.columns) + 1) + "|")
        lines += [
            "| " + " | ".join([str(name), *map(str, row)]) + " |"
            for name, row in zip(table.index, table.values, strict=True)
        ]
        lines.append("")
    lines += [NOTE.replace("*", "`*`", 1), ""]
    lines += [f"![{caption}]({name}.png)\n" for name, (caption, _) in figures.items()]
    return "\n".join(lines)
