"""The bootstrap over participants against scikit-learn, draw by draw, and what it says where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from relcon_lightning.downstream.statistics import (
    bootstrap_f1,
    clearly_best,
    comparison_table,
    interval,
    intervals,
    macro_f1,
)


def predictions(right: dict[str, dict[str, float]], windows: int = 40, seeds: int = 3, seed: int = 0) -> pd.DataFrame:
    """``right``: for each system the share of right predictions of each participant."""
    rng = np.random.default_rng(seed)
    rows = []
    for system, people in right.items():
        for s in range(seeds):
            for person, share in people.items():
                label = rng.choice(["row", "run", "walk"], windows)
                predicted = np.where(rng.random(windows) < share, label, rng.choice(["row", "run", "walk"], windows))
                rows.append(
                    pd.DataFrame(
                        {"system": system, "seed": s, "participant": person, "label": label, "predicted": predicted}
                    )
                )
    return pd.concat(rows, ignore_index=True)


@given(n=st.integers(1, 40), classes=st.integers(1, 5), seed=st.integers(0, 99))
def test_macro_f1_is_that_of_scikit_learn(n: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, predicted = rng.integers(0, classes, (2, n))
    counts = confusion_matrix(label, predicted, labels=range(classes + 1))  # one class never occurs
    expected = f1_score(label, predicted, average="macro")
    assert macro_f1(counts) == pytest.approx(expected)
    np.testing.assert_allclose(macro_f1(np.stack([counts, counts])), [expected] * 2)


def test_a_draw_is_the_score_of_the_people_drawn():
    table = predictions({"x": {"a": 0.9, "b": 0.5, "c": 0.1}, "y": {"a": 0.2, "b": 0.5, "c": 0.8}}, seeds=2)
    drawn = bootstrap_f1(table, draws=30, seed=3)
    weights = np.random.default_rng(3).multinomial(3, np.full(3, 1 / 3), size=30)
    for system in ("x", "y"):
        for row, counts in zip(drawn[system], [(1, 1, 1), *weights], strict=True):
            scores = []
            for s in (0, 1):
                part = table[(table["system"] == system) & (table["seed"] == s)]
                chosen = pd.concat(
                    [part[part["participant"] == p] for p, k in zip("abc", counts, strict=True) for _ in range(k)]
                )
                scores.append(f1_score(chosen["label"], chosen["predicted"], average="macro"))
            assert row == pytest.approx(np.mean(scores))


def test_a_better_system_is_called_better_and_equal_ones_are_not_told_apart():
    people = [f"p{i}" for i in range(10)]
    share = np.random.default_rng(1).uniform(0.3, 0.8, 10)
    good = dict(zip(people, share + 0.15, strict=True))
    same = dict(zip(people, share, strict=True))
    table = comparison_table(predictions({"good": good, "plain": same, "copy": same}, windows=200))
    assert table["good is"].tolist() == ["", "better", "better"]
    table = comparison_table(predictions({"plain": same, "copy": same, "good": good}, windows=200))
    assert table["plain is"].tolist() == ["", "not clearly different", "worse"]


def test_pairing_sees_a_difference_that_the_single_intervals_hide():
    people = [f"p{i}" for i in range(10)]
    share = np.linspace(0.1, 0.8, 10)  # people differ far more than systems
    right = {"a": dict(zip(people, share + 0.1, strict=True)), "b": dict(zip(people, share, strict=True))}
    drawn = bootstrap_f1(predictions(right, windows=300))
    a, b = interval(drawn["a"]), interval(drawn["b"])
    assert a.low < b.high
    assert interval(drawn["a"] - drawn["b"]).low > 0


def test_few_people_decide_nothing():
    table = comparison_table(predictions({"good": {"a": 1.0, "b": 1.0}, "bad": {"a": 0.0, "b": 0.0}}))
    assert table.loc["bad", "good is"] == "no verdict: 2 people, 6 needed"


@pytest.mark.parametrize(
    ("seeds", "verdict"), [(1, "no verdict: 1 seed, 3 needed"), (2, "no verdict: 2 seeds, 3 needed"), (3, "better")]
)
def test_few_seeds_decide_nothing(seeds, verdict):
    people = [f"p{i}" for i in range(8)]
    right = {"good": dict.fromkeys(people, 0.95), "bad": dict.fromkeys(people, 0.1)}
    table = predictions(right, seeds=seeds)
    assert comparison_table(table).loc["bad", "good is"] == verdict
    assert clearly_best(table) == (None if seeds < 3 else "good")


def test_the_interval_of_a_system_is_that_of_the_table():
    table = predictions({"x": {f"p{i}": 0.5 for i in range(6)}, "y": {f"p{i}": 0.7 for i in range(6)}})
    found = intervals(table)
    assert {name: str(one) for name, one in found.items()} == comparison_table(table)["macro F1 [95 %]"].to_dict()


def test_the_interval_covers_as_often_as_it_says():
    """Of 200 cohorts of 20 people the 95 % interval of a mean-like score should cover the truth in about 95 %."""
    truth = bootstrap_f1(
        predictions(
            {"x": {f"p{i}": s for i, s in enumerate(np.random.default_rng(0).uniform(0.4, 0.8, 3000))}},
            windows=30,
            seeds=1,
        ),
        draws=1,
    )["x"].iloc[0]
    covered = 0
    for k in range(200):
        share = np.random.default_rng(100 + k).uniform(0.4, 0.8, 20)
        cohort = predictions({"x": {f"p{i}": s for i, s in enumerate(share)}}, windows=30, seeds=1, seed=k)
        found = interval(bootstrap_f1(cohort, draws=300)["x"])
        covered += found.low <= truth <= found.high
    assert 0.85 <= covered / 200 <= 0.99
