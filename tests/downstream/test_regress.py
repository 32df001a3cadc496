"""Regression probes on frozen features, against scikit-learn by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.linear_model import LinearRegression

from relcon_lightning.data.splits import Split, leave_one_out
from relcon_lightning.downstream import (
    LinearRegressionProbe,
    RidgeRegressionProbe,
    TargetWindows,
    evaluate_regression,
)
from relcon_lightning.downstream.statistics import bootstrap_mae, comparison_table
from relcon_lightning.downstream.systems import MEAN, System, handcrafted_regression, training_mean
from relcon_lightning.errors import DataError
from relcon_lightning.reporting.report import print_report, write_report

UNITS = {"speed": "m/s", "support": "s"}


def windows(people: str = "abcdefgh", each: int = 20) -> TargetWindows:
    """The first axis' level is the speed; participant ``a`` has no support."""
    rng = np.random.default_rng(0)
    participant = np.repeat(list(people), each)
    speed = rng.uniform(0.5, 2, len(participant)) + 0.5 * np.searchsorted(list(people), participant)
    support = 1 / speed
    support[participant == "a"] = np.nan
    signal = rng.standard_normal((len(participant), 3, 64)).astype(np.float32) * 0.1
    signal[:, 0] += speed[:, None]
    return TargetWindows(signal, np.stack([speed, support], 1), ("speed", "support"), participant, participant)


def level(noise: float = 0.0, name: str = "level") -> System[LinearRegressionProbe]:
    def features(seed: int, x: np.ndarray) -> np.ndarray:
        return x.mean(-1) + noise * np.random.default_rng(seed).standard_normal((len(x), 3))

    return System(name, features, LinearRegressionProbe, 3, seeded=noise > 0)


def test_predictions_are_least_squares_on_the_training_people_alone():
    w = windows()
    split = Split(("a", "b", "c"), (), ("d", "e"))
    result = evaluate_regression([level()], w, [split], [4], UNITS)
    x = w.signal.mean(-1)
    train = np.flatnonzero(np.isin(w.participant, ["a", "b", "c"]))
    drawn = np.random.default_rng(4).choice(train, len(train))
    test = np.isin(w.participant, ["d", "e"])
    by_hand = LinearRegression().fit(x[drawn], w.targets[drawn, 0]).predict(x[test])
    ours = result.predictions.query("level == 'speed'")
    np.testing.assert_allclose(ours["predicted"], by_hand, rtol=1e-4)
    np.testing.assert_allclose(ours["label"], w.targets[test, 0])
    assert result.sizes.loc["test"].to_dict() == {"participants": 2, "recordings": 2, "windows": 40}


def test_windows_without_a_target_count_for_the_other_alone():
    result = evaluate_regression([level()], windows(), list(leave_one_out("abcdefgh")), [0], UNITS)
    people = result.predictions.groupby("level")["participant"].unique()
    assert set(people["speed"]) == set("abcdefgh")
    assert set(people["support"]) == set("bcdefgh")
    assert np.isfinite(result.predictions["predicted"]).all()


def test_each_seed_can_divide_the_people_anew_and_draw_no_bootstrap():
    w = windows()
    divided = {4: [Split(("a", "b", "c"), (), ("d", "e"))], 7: [Split(("d", "e", "f"), (), ("a", "c"))]}
    result = evaluate_regression([level()], w, divided, [4, 7], UNITS, bootstrap=False)
    x = w.signal.mean(-1)
    for seed, [split] in divided.items():
        train, test = (np.isin(w.participant, part) for part in (split.train, split.test))
        by_hand = LinearRegression().fit(x[train], w.targets[train, 0]).predict(x[test])
        ours = result.predictions.query(f"level == 'speed' and seed == {seed}")
        assert set(ours["participant"]) == set(split.test)
        np.testing.assert_allclose(ours["predicted"], by_hand, rtol=1e-4)
    with pytest.raises(DataError, match="a are in the test set of two"):
        evaluate_regression([level()], w, {0: [Split(("b",), (), ("a",)), Split(("c",), (), ("a",))]}, [0], UNITS)


def test_the_ridge_takes_the_penalty_that_suits_people_it_was_not_fitted_on():
    """Against every penalty tried by hand, one person left out at a time; far from what suits windows left out."""
    rng = np.random.default_rng(0)
    participant = np.repeat(list("abcdef"), 25)
    own = rng.standard_normal((6, 20)).repeat(25, 0)  # what tells people apart, and not their speed
    x = own + 0.1 * rng.standard_normal((150, 20))
    y = x[:, 0] + rng.standard_normal(6).repeat(25)
    strengths = [1e-3, 1.0, 1e2, 1e4]
    errors = []
    for strength in strengths:
        squared = []
        for left in "abcdef":
            rest, out = participant != left, participant == left
            mean, std = x[rest].mean(0), x[rest].std(0)
            z, centre = (x - mean) / std, y[rest].mean()
            weights = np.linalg.solve(z[rest].T @ z[rest] + strength * np.eye(20), z[rest].T @ (y[rest] - centre))
            squared.append(np.mean((z[out] @ weights + centre - y[out]) ** 2))
        errors.append(np.mean(squared))
    probe = RidgeRegressionProbe(strengths).fit(x, y, x[:0], y[:0], 0, participant)
    assert probe.chosen == strengths[int(np.argmin(errors))] > 1e-3
    z = (x - x.mean(0)) / x.std(0)
    weights = np.linalg.solve(z.T @ z + probe.chosen * np.eye(20), z.T @ (y - y.mean()))
    np.testing.assert_allclose(probe.predict(x), z @ weights + y.mean(), rtol=1e-6)
    with pytest.raises(DataError, match="needs two training participants"):
        probe.fit(x, y, x[:0], y[:0], 0, np.full(150, "a"))


def test_people_that_a_seed_did_not_test_do_not_count_in_its_error():
    parts = [predictions({"x": [1.0, 3.0]}, 1), predictions({"x": [9.0, 5.0]}, 1).assign(seed=1)]
    parts[1]["participant"] = parts[1]["participant"].map({"p0": "p1", "p1": "p2"})
    drawn = bootstrap_mae(pd.concat(parts), draws=4000)["x"]
    assert drawn.iloc[0] == pytest.approx((2.0 + 7.0) / 2)
    assert np.nanmin(drawn) >= 1
    assert np.nanmax(drawn) <= 9


def test_the_floor_predicts_the_mean_of_training():
    w = windows()
    result = evaluate_regression([training_mean()], w, [Split(("b", "c"), (), ("d",))], [0], UNITS)
    guess = result.predictions.query("level == 'speed'")["predicted"]
    train = np.flatnonzero(np.isin(w.participant, ["b", "c"]))
    drawn = np.random.default_rng(0).choice(train, len(train))
    assert guess.nunique() == 1
    assert guess.iloc[0] == pytest.approx(w.targets[drawn, 0].mean())


def test_a_report_names_target_unit_and_every_system(tmp_path):
    systems = [level(), level(3.0, "noise"), handcrafted_regression(25.0), training_mean()]
    result = evaluate_regression(systems, windows(), list(leave_one_out("abcdefgh")), [0, 1], UNITS)
    console = Console(record=True, width=200)
    print_report(result, "Gait", console)
    text = console.export_text()
    page = write_report(result, "Gait", {}, tmp_path)
    for part in ("Speed, m/s", "Support, s", "MAE", "Pearson r", "noise", MEAN):
        assert part in text
        assert part in page.read_text()
        assert part in (tmp_path / "report.md").read_text()
    error = result.scores.query("level == 'speed' and metric == 'mae'").groupby("system")["value"].mean()
    assert error["level"] < error["noise"]


def test_training_people_without_a_target_are_named():
    with pytest.raises(DataError, match=r"'a',.* have 0 windows with support"):
        evaluate_regression([level()], windows(), [Split(("a",), (), ("b",))], [0], UNITS)
    with pytest.raises(DataError, match="No test participant has windows with support"):
        evaluate_regression([level()], windows(), [Split(("b",), (), ("a",))], [0], UNITS)
    with pytest.raises(DataError, match="b are in the test set of two"):
        evaluate_regression([level()], windows(), [Split(("a",), (), ("b",)), Split(("c",), (), ("b",))], [0], UNITS)


def predictions(errors: dict[str, list[float]], seeds: int = 3) -> pd.DataFrame:
    """Two windows a participant, whose errors average to the one given."""
    rows = [
        (system, seed, f"p{i}", 1.0, 1.0 + error + shift)
        for system, of in errors.items()
        for seed in range(seeds)
        for i, error in enumerate(of)
        for shift in (-5.0, 5.0)
    ]
    return pd.DataFrame(rows, columns=["system", "seed", "participant", "label", "predicted"])


def test_the_error_that_is_drawn_is_that_of_participants_averages():
    drawn = bootstrap_mae(predictions({"x": [1.0, -2.0, 3.0]}), draws=500)
    assert drawn["x"].iloc[0] == pytest.approx(2.0)
    assert set(np.round(drawn["x"].iloc[1:] * 3).astype(int)) <= set(range(3, 10))
    assert drawn["x"].iloc[1:].mean() == pytest.approx(2.0, abs=0.15)
    assert list(bootstrap_mae(predictions({"z": [1.0] * 3, "a": [2.0] * 3}), draws=3)) == ["z", "a"]


def test_of_errors_the_smaller_is_better():
    near, far = [0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.2], [1.1, 1.4, 1.2, 1.1, 1.3, 1.2, 1.5]
    table = comparison_table(predictions({"near": near, "far": far}))
    assert table.loc["far", "near is"] == "better"
    assert table.columns[0].startswith("MAE")
    table = comparison_table(predictions({"far": far, "near": near}))
    assert table.loc["near", "far is"] == "worse"
    few = comparison_table(predictions({"a": near[:3], "b": far[:3]}))
    assert few.loc["b", "a is"] == "no verdict: 3 people, 6 needed"
