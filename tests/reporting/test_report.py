"""The report of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from relcon_lightning.downstream import evaluate
from relcon_lightning.downstream.evaluation import Evaluation
from relcon_lightning.reporting.report import print_report, score_table, write_report
from tests.downstream.levels import SPLIT, level, windows


@pytest.fixture(scope="module")
def result():
    return evaluate([level("<script>good"), level("noise", 50.0)], windows(), [SPLIT], [0, 1, 2])


def test_cells_are_mean_and_deviation_over_seeds():
    rows = [("a", "window", "f1", s, v) for s, v in enumerate((0.80, 0.82))]
    rows += [("b", "window", "f1", s, v) for s, v in enumerate((0.70, 0.74))]
    rows += [("b", "recording", "f1", 0, 0.1)]
    table = score_table(pd.DataFrame(rows, columns=["system", "level", "metric", "seed", "value"]), "window")
    assert table["macro F1"].tolist() == ["0.810 ± 0.014", "0.720 ± 0.028"]  # n - 1
    [cell] = score_table(pd.DataFrame(rows, columns=["system", "level", "metric", "seed", "value"]), "recording").loc[
        "b"
    ]
    assert cell == "0.100 ± -"


class _Pieces(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]


def test_the_report_is_complete_self_contained_and_escaped(result, tmp_path):
    page = write_report(result, "Toy task", {"Checkpoint": "<b>x"}, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "- Checkpoint: &lt;b&gt;x" in text
    html, markdown = page.read_text(), page.with_suffix(".md").read_text()
    pieces = _Pieces()
    pieces.feed(html)
    assert pieces.tags.count("table") == 6
    assert pieces.tags.count("img") == 9  # bars, and of two systems at two levels confusion and ROC
    assert "script" not in pieces.tags
    assert "b" not in pieces.tags
    assert all(link.startswith("data:image/png;base64,") for link in pieces.links)
    for text in ("noise", "macro F1", "Cohen&#39;s kappa", "± "):
        assert text in html
    for level_name in ("window", "recording"):
        cells = score_table(result.scores, level_name).loc["noise"]
        assert "| noise | " + " | ".join(cells) + " |" in markdown
    for name in ("f1.png", "confusion_window.png", "confusion_recording.png", "roc_window_noise.png"):
        assert (page.parent / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in markdown
    pd.testing.assert_frame_equal(pd.read_parquet(page.parent / "scores.parquet"), result.scores)
    pd.testing.assert_frame_equal(pd.read_parquet(page.parent / "predictions.parquet"), result.predictions)


def test_the_terminal_shows_every_system_and_metric(result):
    console = Console(record=True, width=120)
    print_report(result, "Toy task", console)
    text = console.export_text()
    for expected in ("noise", "macro F1", "macro AUC", "Window level", "Recording level"):
        assert expected in text


def test_an_ordinary_terminal_cuts_no_number_short():
    metrics = ("f1", "kappa", "accuracy", "auc")
    names = ("relcon", "random encoder", "hand-crafted features + forest")
    rows = [
        (n, lv, m, s, 0.9 - 0.2 * i + 0.01 * s)
        for i, n in enumerate(names)
        for lv in ("window", "recording")
        for m in metrics
        for s in (0, 1)
    ]
    scores = pd.DataFrame(rows, columns=["system", "level", "metric", "seed", "value"])
    console = Console(record=True, width=80)
    items = {"participant": ["p", "q"], "recording": ["r", "s"], "label": ["a", "b"], "predicted": ["a", "b"]}
    parts = [
        pd.DataFrame({"system": n, "level": lv, "seed": s, **items})
        for n in names
        for lv in ("window", "recording")
        for s in (0, 1)
    ]
    print_report(Evaluation(scores, pd.concat(parts), pd.DataFrame(), pd.DataFrame()), "Toy task", console)
    text = console.export_text()
    assert "…" not in text
    assert text.count("0.905 ± 0.007") == 8
    assert text.count("no verdict:") == 4  # of two systems beside the first, at two levels
    assert text.count("2 people, 6") == 4  # a verdict is folded
    assert text.count("hand-crafted features + forest") == text.count("random encoder")  # no name is folded
    assert text.count("Cohen's kappa") == 2


def small(labels=("a", "b"), embedding=None, units=None):
    """An evaluation of two systems."""
    rng = np.random.default_rng(0)
    n = 40
    label = np.array([labels[i % len(labels)] for i in range(n)]) if not units else rng.uniform(1, 2, n)
    kinds = [(one, level) for one in ("relcon", "random encoder") for level in units or ("window", "recording")]
    metric = "mae" if units else "f1"
    scores = pd.DataFrame(kinds, columns=["system", "level"]).assign(metric=metric, seed=0, value=0.5)
    items = {"participant": [f"p{i % 6}" for i in range(n)], "recording": "r", "label": label, "predicted": label}
    predictions = pd.concat(pd.DataFrame({"system": s, "level": level, "seed": 0, **items}) for s, level in kinds)
    costs = pd.DataFrame({"system": ["relcon", "random encoder"], "parameters": 3, "seconds": 0.1})
    made = Evaluation(scores, predictions, costs, pd.DataFrame({"windows": [n]}))
    chances = np.full((n, len(labels)), 1 / len(labels))
    shown = {} if units else {"embeddings": {"relcon": embedding if embedding is not None else rng.normal(size=(n, 4))}}
    return replace(
        made,
        units=units or {},
        classes=list(labels),
        probabilities=dict.fromkeys(kinds, chances),
        embedded=np.array(label),
        **shown,
    )


@pytest.mark.parametrize(
    ("evaluation", "missing"),
    [
        (small(embedding=np.ones((40, 4))), "tsne"),
        (small(embedding=np.full((40, 4), np.nan)), "tsne"),
        (small(("costs $5", "a$b", "\\frac{", "x^2")), None),
        (small(("only one",)), None),
        (small(units={"km/h": "km/h"}), None),
        (small(units={"../../a": "$", "a b": "x"}), None),
    ],
)
def test_results_are_written_whatever_becomes_of_the_pictures(evaluation, missing, tmp_path, caplog):
    page = write_report(evaluation, "Toy", {}, tmp_path / "report")
    written = {path.name for path in page.parent.iterdir()}
    assert {"scores.parquet", "predictions.parquet", "facts.json", "report.md", "report.html"} <= written
    assert (f"the figure '{missing}' could not be drawn" in caplog.text) == bool(missing)
    assert {path.name for path in tmp_path.iterdir()} == {"report"}
    assert len([name for name in written if name.endswith(".png")]) >= 2


def test_results_are_there_before_the_first_picture_is_drawn(tmp_path, monkeypatch):
    """A library that crashes the process takes no result with it."""

    def crash(*_):
        assert (tmp_path / "report.html").stat().st_size
        assert (tmp_path / "scores.parquet").stat().st_size
        raise KeyboardInterrupt  # passes where an ordinary error is a warning

    monkeypatch.setattr("relcon_lightning.reporting.plots.score_bars", crash)
    with pytest.raises(KeyboardInterrupt):
        write_report(small(), "Toy", {}, tmp_path)
