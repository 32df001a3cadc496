"""Evaluations gathered into tables say what the evaluations said."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from relcon_lightning.downstream.evaluation import Evaluation
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.reporting.evaluations import find_evaluations, tables, write_tables
from relcon_lightning.reporting.report import _drawn, print_table, write_report

PEOPLE = [f"p{i}" for i in range(8)]


def evaluation(right: dict[str, float], seeds: int = 3, numbers: bool = False) -> Evaluation:
    """Systems that are right about a share of 40 windows a person, or of errors that large."""
    rows, scores = [], []
    rng = np.random.default_rng(0)
    for system, share in right.items():
        for seed in range(seeds):
            for person in PEOPLE:
                if numbers:
                    rows += [(system, "speed", seed, person, "r", 1.0, 1.0 + share * rng.uniform(0.9, 1.1))] * 3
                    continue
                label = rng.choice(["a", "b"], 40)
                other = np.where(label == "a", "b", "a")
                guess = np.where(rng.random(40) < share, label, other)
                rows += [(system, "window", seed, person, "r", x, y) for x, y in zip(label, guess, strict=True)]
            metrics = ("mae", "r") if numbers else ("f1", "kappa")
            scores += [(system, "speed" if numbers else "window", m, seed, share + 0.01 * seed) for m in metrics]
    names = ["system", "level", "seed", "participant", "recording", "label", "predicted"]
    predictions = pd.DataFrame(rows, columns=names)
    probability = np.full((len(predictions) // (len(right) * seeds), 2), 0.5)
    return Evaluation(
        pd.DataFrame(scores, columns=["system", "level", "metric", "seed", "value"]),
        predictions,
        pd.DataFrame({"system": list(right), "parameters": 1234, "seconds": 2.5}),
        pd.DataFrame({"participants": [8]}, index=["test"]),
        [] if numbers else ["a", "b"],
        {"speed": "m/s"} if numbers else {},
        probabilities={} if numbers else {(system, "window"): probability for system in right},
    )


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.setattr("relcon_lightning.reporting.report.LEVELS", {"window": "Window level"})
    write_report(
        evaluation({"relcon": 0.9, "simclr": 0.6, "random encoder": 0.55}),
        "Sports",
        {"Data": "toy: SIMULATED, <nobody>"},
        tmp_path / "toy" / "sports",
    )
    write_report(evaluation({"relcon": 0.73, "simclr": 0.7}), "Sports", {"Data": "other: B."}, tmp_path / "other" / "s")
    write_report(
        evaluation({"relcon": 0.1, "training mean": 0.5}, numbers=True),
        "Gait",
        {"Data": "gait: C."},
        tmp_path / "g" / "g",
    )
    (tmp_path / "toy" / "cohort").mkdir()
    return tmp_path


def test_each_task_is_a_table_with_floors_marked_and_the_clear_winner_bold(reports):
    made = tables(find_evaluations(str(reports / "*" / "*")))
    assert list(made) == ["Gait, gait: Speed, m/s", "Sports, other: Window level", "Sports, toy: Window level"]
    sports = made["Sports, toy: Window level"]
    assert list(sports.index) == ["relcon", "simclr", "random encoder (baseline)"]
    assert list(sports.columns) == ["macro F1", "Cohen's kappa", "parameters", "seconds"]
    assert sports.loc["relcon"].tolist() == ["**0.910 ± 0.010**", "0.910 ± 0.010", "1,234", "2.5"]
    assert "**" not in sports.loc["simclr", "macro F1"]
    gait = made["Gait, gait: Speed, m/s"]
    assert gait.loc["relcon", "MAE"] == "**0.110 ± 0.010**"
    assert "training mean (baseline)" in gait.index


def test_a_difference_inside_the_noise_is_not_bold(reports):
    assert (
        not tables(find_evaluations(str(reports / "other" / "*")))["Sports, other: Window level"]
        .map(lambda cell: "**" in str(cell))
        .to_numpy()
        .any()
    )


def test_files_hold_the_tables(reports):
    page = write_tables(find_evaluations(str(reports / "*" / "*")), reports / "out")
    html, markdown = page.read_text(), page.with_suffix(".md").read_text()
    for text in (html, markdown):
        assert "0.910 ± 0.010" in text
        assert "Sports, toy: Window level" in text
        assert "SIMULATED" in text
    assert "&lt;nobody&gt;" in html
    assert "**" not in html
    assert "http" not in html.replace("http-equiv", "")
    tidy = pd.read_parquet(page.with_suffix(".parquet"))
    row = tidy.query("task == 'Sports' and data.str.startswith('toy') and system == 'relcon' and metric == 'f1'").iloc[
        0
    ]
    assert (row["mean"], row["std"], row["seeds"]) == pytest.approx((0.91, 0.01, 3))


def test_two_evaluations_of_one_task_are_told_apart_by_their_folders(reports):
    shutil.copytree(reports / "toy" / "sports", reports / "toy" / "again")
    made = tables(find_evaluations([str(reports / "toy" / "*")]))
    assert len(made) == 2
    assert any("toy/sports" in heading for heading in made)


def test_nothing_found_and_damaged_folders_are_named(reports):
    with pytest.raises(ConfigError, match=r"nowhere/\* matches no folder of relcon-eval \(current folder"):
        find_evaluations("nowhere/*")
    (reports / "toy" / "sports" / "facts.json").unlink()
    with pytest.raises(DataError, match=r"toy/sports contains no complete evaluation .* run relcon-eval again"):
        find_evaluations(str(reports / "toy" / "*"))


def browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.mark.skipif(browser() is None, reason="no Chromium on this machine")
def test_the_page_opens_in_a_browser(reports, tmp_path):
    page = write_tables(find_evaluations(str(reports / "*" / "*")), reports / "out")
    program = browser()
    assert program
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.resolve().as_uri()]
    dom = subprocess.run(command, text=True, capture_output=True, timeout=120, check=True).stdout
    assert dom.count("<tr>") > 8
    assert Path(page).exists()


def test_long_names_are_folded_and_stay_whole():
    """Else systems that differ at the end of their names look the same."""
    names = [f"relcon augmentation=RandomAugmentations attention={kind} statistics=other" for kind in ("a", "b")]
    console = Console(record=True, width=80)
    print_table(pd.DataFrame({f"{names[0]} is": ["better", "worse"]}, names), "Gait", console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.split().count("attention=a") == 2  # in the heading, and in the row
    assert text.split().count("attention=b") == 1


def test_tables_fit_an_ordinary_terminal(reports):
    console = Console(record=True, width=80)
    for heading, table in tables(find_evaluations(str(reports / "toy" / "*"))).items():
        print_table(table, heading, console)
    text = console.export_text()
    assert "Sports, toy: Window level" in text
    assert "random encoder (baseline)" in text
    assert "1,234" in text
    assert "…" not in text


def test_files_of_figures_have_names_that_every_file_system_accepts(tmp_path):
    drawn = _drawn([(f"roc_{'ä' * 300}{i}", "caption", lambda: b"png") for i in range(2)], tmp_path)
    assert len(drawn) == 2
    for name in drawn:
        (tmp_path / f"{name}.png").write_bytes(b"png")
