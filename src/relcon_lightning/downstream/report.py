"""The report of an evaluation: on the terminal, as Markdown, as one self-contained HTML page and as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from relcon_lightning.downstream import plots
from relcon_lightning.downstream.evaluate import Evaluation
from relcon_lightning.downstream.metrics import CLASSIFICATION, REGRESSION
from relcon_lightning.downstream.statistics import comparison_table
from relcon_lightning.downstream.systems import HANDCRAFTED, NORMALISED
from relcon_lightning.markdown import inline, markdown_table
from relcon_lightning.page import write_page

NOTE = (
    "± is the standard deviation over seeds, which draw random weights (of a method with several checkpoints: the "
    "checkpoint), the forest's trees and a bootstrap of the windows a probe is fitted on; it does not say how much "
    "other people would change. The intervals do: a bootstrap over participants, the same draws for both systems of a "
    "difference. A difference whose interval includes 0 is no difference."
)
_PAGE_ONLY = ("mse", "sdse", "sdae")  # too much for the width of a terminal
_FEWEST_EMBEDDED = 30  # windows of which a map can be drawn
LEVELS = {"window": "Window level", "recording": "Recording level (most frequent class of its windows)"}


def score_table(scores: pd.DataFrame, level: str) -> pd.DataFrame:
    """Rows systems, columns metrics, cells ``mean ± std`` over seeds."""
    chosen = scores[scores["level"] == level].groupby(["system", "metric"], sort=False)["value"]
    mean, std = chosen.mean().unstack(sort=False), chosen.std(ddof=0).unstack(sort=False)
    table = mean.map("{:.3f}".format) + " ± " + std.map("{:.3f}".format)
    return table.rename(columns=CLASSIFICATION | REGRESSION)


def print_report(evaluation: Evaluation, title: str, console: Console | None = None) -> None:
    """Draw the tables on the terminal."""
    console = console or Console()
    for heading, scores in result_tables(evaluation).items():
        table = Table(title=f"{title}: {heading}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=0)
        table.add_column("system")  # this one gives way on a narrow terminal: a number cut short is no number
        scores = scores.drop(columns=[REGRESSION[name] for name in _PAGE_ONLY], errors="ignore")
        for name in scores.columns:
            table.add_column(str(name), justify="right", no_wrap=True)
        for system, row in scores.iterrows():
            table.add_row(str(system), *row)
        console.print(table)


def result_tables(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Heading to table: at each level the metrics, and how sure the comparison is."""
    targets = {name: f"{words(name)}, {unit}" for name, unit in evaluation.units.items()}
    tables = {}
    for level, heading in (targets or LEVELS).items():
        tables[heading] = score_table(evaluation.scores, level)
        of_level = evaluation.predictions[evaluation.predictions["level"] == level]
        tables[f"{words(level)}{'' if targets else ' level'}, compared"] = comparison_table(of_level)
    return tables


def words(name: str) -> str:
    """A name of the code in words."""
    return name.replace("_", " ").capitalize()


def write_report(
    evaluation: Evaluation,
    title: str,
    facts: Mapping[str, object],
    folder: str | Path,
    trained: Mapping[str, tuple[str, bytes]] | None = None,
) -> Path:
    """Write ``report.md``, ``report.html``, the figures, and what :mod:`relcon_lightning.evaluations` reads.

    Args:
        evaluation: What to report.
        title: Of the report.
        facts: Name and value of what a reader must know: checkpoint, data, participants ...
        folder: Created if missing.
        trained: Pictures of the trainings that are judged: file name to caption and PNG.

    Returns:
        Path of the HTML page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures = _figures(evaluation) | dict(trained or {})
    for name, (_, png) in figures.items():
        (folder / f"{name}.png").write_bytes(png)
    tables = result_tables(evaluation)
    tables["Cost"] = evaluation.costs.set_index("system").map(lambda x: f"{x:,}" if isinstance(x, int) else f"{x:.1f}")
    tables["Data"] = evaluation.sizes
    evaluation.scores.to_parquet(folder / "scores.parquet", index=False)
    evaluation.predictions.to_parquet(folder / "predictions.parquet", index=False)
    evaluation.costs.to_parquet(folder / "costs.parquet", index=False)
    about = {"title": title, "units": evaluation.units, "facts": {name: str(value) for name, value in facts.items()}}
    (folder / "facts.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(_markdown(title, facts, tables, figures), encoding="utf-8")
    return write_page(folder / "report.html", title, facts, tables, dict(figures.values()), NOTE)


def _figures(evaluation: Evaluation) -> dict[str, tuple[str, bytes]]:
    """File name to caption and PNG."""
    first = evaluation.predictions.iloc[0]
    shown = evaluation.predictions.query("system == @first.system and seed == @first.seed")
    if evaluation.units:
        return _regression_figures(evaluation, shown, first.system)
    figures = {
        "f1": (
            "Macro F1, mean and standard deviation over seeds",
            plots.score_bars(evaluation.scores, "f1", "macro F1"),
        )
    }
    for level, items in shown.groupby("level"):
        picture = plots.confusion(
            items["label"].to_numpy(),
            items["predicted"].to_numpy(),
            evaluation.classes,
            f"{first.system}, {level} level",
        )
        curves = plots.roc(
            items["label"].to_numpy(),
            evaluation.probabilities[str(first.system), str(level)],
            evaluation.classes,
            f"ROC of {first.system}, {level} level",
        )
        figures[f"roc_{level}"] = (f"One class against the rest, {first.system}, {level} level, first seed", curves)
        figures[f"confusion_{level}"] = (f"Confusion of {first.system}, {level} level, first seed", picture)
    maps = {name: x for name, x in evaluation.embeddings.items() if name not in (NORMALISED, HANDCRAFTED)}
    if maps and len(evaluation.embedded) >= _FEWEST_EMBEDDED:
        caption = f"t-SNE of {len(evaluation.embedded)} windows that are tested, by class"
        figures["tsne"] = (caption, plots.tsne(maps, evaluation.embedded))
    return figures


def _regression_figures(evaluation: Evaluation, shown: pd.DataFrame, system: str) -> dict[str, tuple[str, bytes]]:
    figures = {}
    for target, unit in evaluation.units.items():
        scores = evaluation.scores[evaluation.scores["level"] == target]
        caption = f"{words(target)}: mean absolute error, mean and standard deviation over seeds"
        figures[f"mae_{target}"] = (caption, plots.score_bars(scores, "mae", f"MAE, {unit}"))
        items = shown[shown["level"] == target]
        true, predicted, participant = (items[name].to_numpy() for name in ("label", "predicted", "participant"))
        picture = plots.scatter(true, predicted, participant, unit, f"{words(target)}, {system}")
        figures[f"scatter_{target}"] = (f"{words(target)} of {system}, first seed", picture)
    return figures


def _markdown(
    title: str,
    facts: Mapping[str, object],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, tuple[str, bytes]],
) -> str:
    lines = [f"# {inline(title)}", "", *(f"- {inline(name)}: {inline(value)}" for name, value in facts.items()), ""]
    for heading, table in tables.items():
        lines += [f"## {inline(heading)}", ""]
        lines += [*markdown_table(table), ""]
    lines += [NOTE, ""]
    lines += [f"![{inline(caption)}]({name}.png)\n" for name, (caption, _) in figures.items()]
    return "\n".join(lines)
