"""The report of an evaluation: on the terminal, as Markdown, as one self-contained HTML page and as Parquet."""

from __future__ import annotations

import json
import logging
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from relcon_lightning.downstream.evaluation import Evaluation
from relcon_lightning.downstream.metrics import CLASSIFICATION, REGRESSION
from relcon_lightning.downstream.statistics import FEWEST, FEWEST_SEEDS, Interval, comparison_table, intervals
from relcon_lightning.downstream.systems import HANDCRAFTED, NORMALISED
from relcon_lightning.markdown import inline, markdown_table
from relcon_lightning.reporting import plots
from relcon_lightning.reporting.page import write_page
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

Figure = tuple[str, str, Callable[[], bytes]]  # file name, caption, and function that draws the PNG

NOTE = (
    "± is the standard deviation over seeds. A seed selects random weights (for a method with several checkpoints: the "
    "checkpoint) and the trees of the forest. Depending on the task, it also draws a bootstrap of the training windows "
    "of a probe, or divides the participants. ± does not show how results vary with other people. The 95 % intervals "
    "do: they are a bootstrap over participants, and both systems of a difference share its draws. If the interval of "
    "a difference includes 0, the systems are not clearly different. A verdict needs "
    f"{FEWEST} people and {FEWEST_SEEDS} seeds."
)
_PAGE_ONLY = ("mse", "sdse", "sdae")  # omitted on the terminal, which is too narrow
_EDGES = 2  # width of a table's frame in characters
_HEADING = 22  # maximum width of a heading in one line, in characters: that of a number with its interval
_WORDS = 11  # maximum width of a line of a verdict
_LONGEST = 60  # maximum length of a figure's file name in characters, of up to four bytes each
_FEWEST_EMBEDDED = 30  # minimum number of windows for a map
LEVELS = {"window": "Window level", "recording": "Recording level (most frequent class of its windows)"}


def score_table(scores: pd.DataFrame, level: str) -> pd.DataFrame:
    """Systems as rows, metrics as columns, cells ``mean ± std`` over seeds; a dash replaces missing numbers."""
    chosen = scores[scores["level"] == level].groupby(["system", "metric"], sort=False)["value"]
    mean, std = chosen.mean().unstack(sort=False), chosen.std(ddof=1).unstack(sort=False)
    table = mean.map("{:.3f}".format) + " ± " + std.map(lambda x: "-" if pd.isna(x) else f"{x:.3f}")
    return table.mask(mean.isna(), "-").rename(columns=CLASSIFICATION | REGRESSION)


def fold_table(folds: pd.DataFrame, level: str) -> pd.DataFrame:
    """Systems as rows, metrics as columns, cells ``mean ± std`` over folds, which are scored separately.

    The score of a fold is its mean over seeds; ``std`` is the sample standard deviation, as in the paper's Tables 3, 4.

    Args:
        folds: See :class:`~relcon_lightning.downstream.evaluation.Evaluation`.
        level: ``window`` or ``recording``.
    """
    chosen = folds[folds["level"] == level]
    by_fold = chosen.groupby(["system", "metric", "fold"], sort=False)["value"].mean().reset_index()
    return score_table(by_fold.assign(level=level), level)


def print_report(evaluation: Evaluation, title: str, console: Console | None = None) -> None:
    """Draw the tables on the terminal."""
    for heading, scores in result_tables(evaluation).items():
        print_table(scores, f"{title}: {heading}", console)


def print_table(scores: pd.DataFrame, title: str, console: Console | None = None, first: str = "system") -> None:
    """Draw one table on the terminal; a table that is too wide is split into several.

    Args:
        scores: Table with one row per system.
        title: Title above the table.
        console: Console to draw on; None: the terminal.
        first: Heading of the index.
    """
    console = console or Console()
    scores = scores.drop(columns=[REGRESSION[name] for name in _PAGE_ONLY], errors="ignore")
    names = [Text(first), *(_folded(str(name), console.width // 2) for name in scores.index)]
    columns = [
        [_folded(str(name), _HEADING), *(_folded_words(str(cell)) for cell in cells)] for name, cells in scores.items()
    ]
    for i, fitting in enumerate(_fitting(names, columns, console.width)):
        table = Table(title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=0)
        table.title = escape(title) if not i else None
        headings, *rows = zip(names, *fitting, strict=True)
        for heading in headings:
            table.add_column(heading, justify="right" if table.columns else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _fitting(names: list[Text], columns: list[list[Text]], width: int) -> Iterator[list[list[Text]]]:
    """Divide the columns (heading and cells) into tables that fit the terminal next to the names of the systems."""
    left = used = _EDGES + _width(names)
    group: list[list[Text]] = []
    for column in columns:
        needed = 1 + _width(column)
        if group and used + needed > width:
            yield group
            group, used = [], left
        group.append(column)
        used += needed
    yield group


def _width(column: Iterable[Text]) -> int:
    return max(line.cell_len for cell in column for line in cell.split())


def _folded_words(cell: str) -> Text:
    """Wrap a cell of words, such as a verdict; a number and its interval stay on one line."""
    return _folded(cell, _WORDS) if cell[:1].isalpha() else Text(cell)


def _folded(text: str, width: int) -> Text:
    """Wrap text to at most ``width`` characters per line."""
    return Text("\n".join(textwrap.wrap(text, width)))


def result_tables(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Tables by heading: for each level, the metrics and the uncertainty of the comparison."""
    targets = {name: f"{words(name)}, {unit}" for name, unit in evaluation.units.items()}
    tables = {}
    for level, heading in (targets or LEVELS).items():
        tables[heading] = score_table(evaluation.scores, level)
        if len(evaluation.folds):
            tables[f"{words(level)} level, each fold by itself"] = fold_table(evaluation.folds, level)
        of_level = evaluation.predictions[evaluation.predictions["level"] == level]
        tables[f"{words(level)}{'' if targets else ' level'}, compared"] = comparison_table(of_level)
    return tables


def words(name: str) -> str:
    """Convert a name in the code to words."""
    return name.replace("_", " ").capitalize()


def write_report(
    evaluation: Evaluation,
    title: str,
    facts: Mapping[str, object],
    folder: str | Path,
    trained: Mapping[str, tuple[str, bytes]] | None = None,
) -> Path:
    """Write ``report.md``, ``report.html``, the figures, and files for :mod:`relcon_lightning.reporting.evaluations`.

    Args:
        evaluation: Evaluation to report.
        title: Title of the report.
        facts: Facts that a reader needs (checkpoint, data, participants ...), as a mapping from name to value.
        folder: Output folder; created if missing.
        trained: Figures of the trainings of the evaluated systems: mapping from file name to caption and PNG.

    Returns:
        Path of the HTML page.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    evaluation.scores.to_parquet(folder / "scores.parquet", index=False)
    evaluation.predictions.to_parquet(folder / "predictions.parquet", index=False)
    evaluation.costs.to_parquet(folder / "costs.parquet", index=False)
    if len(evaluation.folds):
        evaluation.folds.to_parquet(folder / "folds.parquet", index=False)
    evaluation.save_drawn(folder)
    about = {"title": title, "units": evaluation.units, "facts": {name: str(value) for name, value in facts.items()}}
    (folder / "facts.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    tables = result_tables(evaluation)
    tables["Cost"] = evaluation.costs.set_index("system").map(lambda x: f"{x:,}" if isinstance(x, int) else f"{x:.1f}")
    tables["Data"] = evaluation.sizes
    pages = Pages(title, facts, tables, folder)
    pages.write({})  # save the results first, because drawing may fail
    figures = _drawn(_figures(evaluation), folder) | dict(trained or {})
    for name, (_, png) in figures.items():
        (folder / f"{name}.png").write_bytes(png)
    return pages.write(figures)


@dataclass(frozen=True)
class Pages:
    """``report.md`` and ``report.html`` of one evaluation.

    Attributes:
        title: Title of the report.
        facts: Facts that a reader needs, as a mapping from name to text.
        tables: Results by heading.
        folder: Output folder of the pages.
    """

    title: str
    facts: Mapping[str, object]
    tables: Mapping[str, pd.DataFrame]
    folder: Path

    def write(self, figures: Mapping[str, tuple[str, bytes]]) -> Path:
        """Write both pages with figures (file name to caption and PNG); returns the path of the HTML page."""
        text = _markdown(self.title, self.facts, self.tables, figures)
        (self.folder / "report.md").write_text(text, encoding="utf-8")
        page = self.folder / "report.html"
        return write_page(page, self.title, self.facts, self.tables, dict(figures.values()), NOTE)


def _drawn(figures: Iterable[Figure], folder: Path) -> dict[str, tuple[str, bytes]]:
    """Draw the figures: mapping from file name to caption and PNG. A warning names those that cannot be drawn."""
    made: dict[str, tuple[str, bytes]] = {}
    with rc_context({"text.parse_math": False}):  # a dollar in a label is a dollar
        for name, caption, draw in figures:
            file = re.sub(r"[^\w.-]+", "_", name)[:_LONGEST]
            file = f"{file}_{len(made)}" if file in made else file
            try:
                made[file] = (caption, draw())
            except Exception as error:
                log.warning("%s: the figure %r could not be drawn (%s).", folder, name, error)
    return made


def _figures(evaluation: Evaluation) -> Iterator[Figure]:
    if evaluation.units:
        yield from _regression_figures(evaluation)
        return
    levels = evaluation.predictions["level"].unique()
    found = {f"{words(level)} level": _intervals(evaluation, level) for level in levels}
    yield "f1", "Macro F1 with its 95 % interval over people", partial(plots.score_bars, found, "macro F1")
    for (system, level), items in _first_seed(evaluation).groupby(["system", "level"], sort=False):
        label, predicted = items["label"].to_numpy(), items["predicted"].to_numpy()
        chances = evaluation.probabilities[str(system), str(level)]
        name, title = _of_system(str(level), str(system), evaluation), f"{system}, {level} level"
        picture = partial(plots.roc, label, chances, evaluation.classes, f"ROC of {title}")
        yield f"roc_{name}", f"One class against the rest, {title}, first seed", picture
        picture = partial(plots.confusion, label, predicted, evaluation.classes, title)
        yield f"confusion_{name}", f"Confusion of {title}, first seed", picture
    maps = {name: x for name, x in evaluation.embeddings.items() if name not in (NORMALISED, HANDCRAFTED)}
    if maps and len(evaluation.embedded) >= _FEWEST_EMBEDDED:
        caption = f"t-SNE of {counted(len(evaluation.embedded), 'test window')}, by class"
        yield "tsne", caption, partial(plots.tsne, maps, evaluation.embedded)


def _regression_figures(evaluation: Evaluation) -> Iterator[Figure]:
    shown = _first_seed(evaluation)
    for target, unit in evaluation.units.items():
        caption = f"{words(target)}: mean absolute error with its 95 % interval over people"
        found = {words(target): _intervals(evaluation, target)}
        yield f"mae_{target}", caption, partial(plots.score_bars, found, f"MAE, {unit}")
        for system, items in shown[shown["level"] == target].groupby("system", sort=False):
            true, predicted, participant = (items[name].to_numpy() for name in ("label", "predicted", "participant"))
            title = f"{words(target)}, {system}"
            picture = partial(plots.scatter, true, predicted, participant, unit, title)
            name = _of_system(target, str(system), evaluation)
            yield f"scatter_{name}", f"{words(target)} of {system}, first seed", picture


def _of_system(what: str, system: str, evaluation: Evaluation) -> str:
    """Name of a figure with the name of its system, which is omitted for the first system."""
    return what if system == evaluation.predictions["system"].iloc[0] else f"{what}_{system}"


def _intervals(evaluation: Evaluation, level: str) -> dict[str, Interval]:
    return intervals(evaluation.predictions[evaluation.predictions["level"] == level])


def _first_seed(evaluation: Evaluation) -> pd.DataFrame:
    predictions = evaluation.predictions
    rows: pd.DataFrame = predictions.loc[predictions["seed"] == predictions["seed"].iloc[0]]
    return rows


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
