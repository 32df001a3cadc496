from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from relcon_lightning.downstream import LinearRegressionProbe
from relcon_lightning.downstream.metrics import regression_metrics


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 6))
def test_errors_are_of_each_participants_average(seed, n, people):
    rng = np.random.default_rng(seed)
    target, predicted = rng.standard_normal((2, n))
    participant = np.array([f"p{i}" for i in rng.integers(0, people, n)])
    ids = sorted(set(participant))
    true = [target[participant == name].mean() for name in ids]
    guess = [predicted[participant == name].mean() for name in ids]
    ours = regression_metrics(target, predicted, participant)
    assert ours["mse"] == pytest.approx(sk.mean_squared_error(true, guess))
    assert ours["mae"] == pytest.approx(sk.mean_absolute_error(true, guess))
    errors = np.subtract(guess, true)
    assert ours["sdse"] == pytest.approx(np.std(errors**2))
    assert ours["sdae"] == pytest.approx(np.std(np.abs(errors)))
    if len(ids) > 2:
        assert ours["r"] == pytest.approx(stats.pearsonr(true, guess).statistic, abs=1e-9)


def test_a_participant_with_many_windows_counts_once():
    participant = np.array(["a"] * 9 + ["b"])
    ours = regression_metrics(np.zeros(10), np.array([1.0] * 9 + [3.0]), participant)
    assert ours["mae"] == pytest.approx(2.0)
    assert ours["mse"] == pytest.approx(5.0)


def test_one_value_for_everybody_has_no_correlation():
    ours = regression_metrics(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array(["a", "b"]))
    assert np.isnan(ours["r"])


def test_the_mean_of_equal_predictions_differs_by_rounding_alone_and_correlates_with_nothing():
    rng = np.random.default_rng(0)
    participant = np.array([f"p{i}" for i in rng.integers(0, 9, 500)])
    equal = 1.1 + 1e-15 * rng.standard_normal(500)
    ours = regression_metrics(rng.uniform(0.5, 2, 500), equal, participant)
    assert np.isnan([ours["r"], ours["window_r"]]).all()


def test_the_probe_finds_a_linear_target_whatever_the_scale_of_the_features():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4)) * [1e-3, 1.0, 10.0, 1e4] + 5
    target = x @ [300.0, -2.0, 0.1, 1e-4] + 7
    probe = LinearRegressionProbe().fit(x[:150], target[:150], x[150:], target[150:])
    np.testing.assert_allclose(probe.predict(x[150:]), target[150:], rtol=1e-6)


def test_the_probe_does_not_look_at_the_validation_participants():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    first, second = (LinearRegressionProbe().fit(x, y, x_val, y) for x_val in (x, -9 * x))
    np.testing.assert_array_equal(first.predict(x), second.predict(x))
