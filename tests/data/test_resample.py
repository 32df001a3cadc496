from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relcon_lightning.data.resample import check_unit, regularise, resample, resample_windows, stamp_rate
from relcon_lightning.errors import DataError

RATES = st.sampled_from([20.0, 25.0, 30.0, 50.0, 100.0, 200.0])


def sine(frequency: float, rate: float, seconds: float = 10) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([np.sin(2 * np.pi * frequency * t), np.cos(2 * np.pi * frequency * t), np.ones_like(t)], 1)


@settings(deadline=None)
@given(RATES, st.sampled_from([50.0, 100.0]))
def test_slow_movement_is_kept(source, target):
    frequency = 0.2 * min(source, target)
    result, expected = resample(sine(frequency, source), source, target), sine(frequency, target)
    assert result.dtype == np.float32
    assert abs(len(result) - len(expected)) <= 1
    inner = slice(round(target), round(9 * target))  # the filter is as long as ten samples of the slower rate
    np.testing.assert_allclose(result[inner], expected[inner], atol=0.01)


def test_what_the_new_rate_cannot_hold_is_removed_and_not_folded_back():
    result = resample(sine(40, 100)[:, :2].repeat(2, 1)[:, :3], 100, 50)  # 40 Hz would turn up at 10 Hz
    assert np.abs(result[50:-50]).max() < 0.02


@given(RATES, RATES, st.floats(-2, 2))
def test_gravity_does_not_ring_at_the_ends(source, target, level):
    np.testing.assert_allclose(resample(np.full((60, 3), level), source, target), level, atol=2e-3)


@settings(deadline=None)
@given(st.sampled_from([(100.0, 50.0), (50.0, 100.0), (30.0, 50.0)]), st.integers(0, 2**16))
def test_each_window_is_resampled_as_a_recording_of_its_own(rates, seed):
    signal = np.random.default_rng(seed).standard_normal((4, 3, 90)).astype(np.float32)
    found = resample_windows(signal, *rates)
    for window, own in zip(signal, found, strict=True):
        np.testing.assert_array_equal(own, resample(window.T, *rates).T)
    assert resample_windows(signal, 50, 50) is signal


def test_equal_rates_change_nothing():
    x = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    np.testing.assert_array_equal(resample(x, 50, 50), x)


@pytest.mark.parametrize("source", [99.95, 100.03, 50.01, 33.333])
def test_a_rate_beside_a_round_one_does_not_drift(source):
    """The last second of five hours is where it belongs, to one sample."""
    n = round(5 * 3600 * source)
    signal = np.zeros((n, 3))
    signal[-100:] = 1
    result = resample(signal, source, 100.0)
    step = np.flatnonzero(result[:, 0] > 0.5)[0]
    assert step / 100 == pytest.approx((n - 100.5) / source, abs=1.01 / min(source, 100))


def test_rates_without_a_simple_ratio_are_refused_where_they_would_drift():
    signal = np.zeros((10**6, 3))
    assert len(resample(signal[:1000], 100.0001, 100.0)) == 1000
    with pytest.raises(DataError, match=r"from 100\.0001 to 100\.0 Hz without drift.*regularise"):
        resample(signal, 100.0001, 100.0)


@pytest.mark.parametrize("rate", [0.0, -50.0, np.nan, np.inf])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(DataError, match="rates must be above 0"):
        resample(np.zeros((10, 3)), rate, 100.0)


@given(RATES, RATES, st.integers(0, 300))
def test_length_follows_the_rate(source, target, n):
    result = resample(np.ones((n, 3)), source, target)
    assert result.shape == (int(np.ceil(n * target / source)), 3)


def test_missing_values_and_stamps_are_gaps():
    times = np.arange(0, 6, 0.02)
    signal = np.stack([times] * 3, 1)
    signal[100:200, 1] = np.nan  # 2 s to 4 s
    times[250] = np.nan  # one lost stamp is not a gap
    parts = regularise(times, signal, rate=50, max_gap_s=0.5)
    assert [(round(start, 2), len(part)) for start, part in parts] == [(0.0, 100), (4.0, 100)]
    assert all(np.isfinite(part).all() for _, part in parts)


def test_one_stamp_has_no_rate():
    with pytest.raises(DataError, match="two different time stamps"):
        stamp_rate(np.array([3.0, 3.0]))


def test_irregular_stamps_are_sorted_and_put_on_a_grid():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, 600))
    signal = np.stack([times, 2 * times, -times], 1)
    order = rng.permutation(600)
    times, signal = np.append(times[order], times[0]), np.append(signal[order], [[99, 99, 99]], axis=0)
    [(start, regular)] = regularise(times, signal, rate=50, max_gap_s=1)
    np.testing.assert_allclose(regular[:, 0], start + np.arange(len(regular)) / 50, atol=1e-9)
    np.testing.assert_allclose(regular[:, 1], 2 * regular[:, 0])


def test_a_gap_parts_a_recording_and_is_not_bridged():
    times = np.concatenate([np.arange(0, 2, 0.02), np.arange(5, 6, 0.02), [9.0]])
    parts = regularise(times, np.stack([times] * 3, 1), rate=50, max_gap_s=0.5)
    assert [round(start, 2) for start, _ in parts] == [0.0, 5.0]
    assert [len(part) for _, part in parts] == [100, 50]
    assert max(part[:, 0].max() for _, part in parts) < 6


def test_stamp_rate_ignores_jitter_gaps_and_repeated_stamps():
    times = np.concatenate([np.arange(0, 10, 0.05), [3.0, 50.0]])
    assert stamp_rate(times) == pytest.approx(20)


def test_metres_per_second_squared_declared_as_g_are_refused():
    still = np.tile([0.0, 0.0, 9.81], (100, 1))
    check_unit(still / 9.81, "somewhere")
    with pytest.raises(DataError, match=r"arm\.csv: median norm 9\.81.*divide by 9\.80665"):
        check_unit(still, "arm.csv")
    with pytest.raises(DataError, match="Was gravity removed"):
        check_unit(still / 100, "arm.csv")
    with pytest.raises(DataError, match="Convert it to g"):
        check_unit(still * 100, "arm.csv")


def test_a_jumper_s_signal_is_small_in_the_median_and_yet_in_g():
    norms = np.where(np.arange(100) % 2, 0.1, 2.1)
    norms[0] = 0.1  # the median is that of free fall
    jumping = np.stack([np.zeros(100), np.zeros(100), norms], axis=1)
    check_unit(jumping, "jump.csv")
    with pytest.raises(DataError, match="Was gravity removed"):
        check_unit(jumping * 0.3, "jump.csv")


@pytest.mark.parametrize("unit", [1e-3, 1e-2])
@pytest.mark.parametrize("rate", [12.5, 20, 25, 30, 31.25, 32, 33, 50, 60, 64, 80, 100])
def test_the_rate_of_rounded_stamps_is_the_sensors(rate, unit):
    if 1 / rate < 2 * unit:
        return  # nothing tells the rate then
    times = np.round(1.7e9 + np.arange(20_000) / rate, int(-np.log10(unit)))
    times[9_000:] += 37.0  # a gap
    lost = np.random.default_rng(0).random(len(times)) > 0.02
    for stamps in (times, times[lost]):
        assert stamp_rate(stamps) == pytest.approx(rate, rel=1e-3)


def test_a_rate_beside_a_whole_number_is_kept():
    assert stamp_rate(np.arange(5000) / 104.28) == pytest.approx(104.28, rel=1e-6)
    assert stamp_rate(np.arange(5000) / 31.25) == pytest.approx(31.25, rel=1e-6)
