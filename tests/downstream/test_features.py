from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from relcon_lightning.downstream.features import feature_names, handcrafted_features


def column(windows, name, rate=100.0):
    return handcrafted_features(windows, rate)[:, feature_names().index(name)]


@pytest.fixture
def windows():
    return np.random.default_rng(0).standard_normal((5, 3, 128)) * 0.3 + [[[0.1], [0.2], [1.0]]]


def test_statistics_are_those_of_numpy_and_scipy(windows):
    y, norm = windows[:, 1], np.linalg.norm(windows, axis=1)
    np.testing.assert_allclose(column(windows, "y_mean"), y.mean(1))
    np.testing.assert_allclose(column(windows, "norm_std"), norm.std(1))
    np.testing.assert_allclose(column(windows, "y_q25"), np.percentile(y, 25, axis=1))
    np.testing.assert_allclose(column(windows, "y_iqr"), stats.iqr(y, axis=1))
    np.testing.assert_allclose(column(windows, "norm_skew"), stats.skew(norm, axis=1))
    np.testing.assert_allclose(column(windows, "y_kurtosis"), stats.kurtosis(y, axis=1))
    np.testing.assert_allclose(column(windows, "y_mean_square"), (y**2).mean(1))
    expected = [np.corrcoef(w[0], w[2])[0, 1] for w in windows]
    np.testing.assert_allclose(column(windows, "correlation_xz"), expected)


def test_spectrum_finds_the_frequency_and_the_band_of_a_movement():
    t = np.arange(256) / 100
    wave = 0.5 * np.sin(2 * np.pi * 3.125 * t)
    windows = np.stack([wave, 0 * t, 0 * t + 1])[None]
    assert column(windows, "x_peak_hz")[0] == pytest.approx(3.125)
    bands = {n: column(windows, n)[0] for n in feature_names() if n.startswith("x_power")}
    assert max(bands, key=lambda n: bands[n]) == "x_power_2_4hz"
    assert column(windows, "x_crossings")[0] == pytest.approx(6.25, abs=0.5)
    noise = np.random.default_rng(0).standard_normal((1, 3, 256))
    assert column(noise, "x_entropy")[0] > column(windows, "x_entropy")[0] + 1


def test_constant_and_huge_windows_are_finite():
    for value in (0.0, 1.0, 1e6):
        features = handcrafted_features(np.full((2, 3, 64), value), 50.0)
        assert np.isfinite(features).all()
    assert features.shape[1] == len(feature_names()) == len(set(feature_names()))


def test_windows_are_independent(windows):
    np.testing.assert_allclose(handcrafted_features(windows, 50)[2], handcrafted_features(windows[2:3], 50)[0])
