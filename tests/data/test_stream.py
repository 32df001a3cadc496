"""A recording that comes in pieces gives the windows of the whole one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.data.resample import resample
from relcon_lightning.data.stream import Block, blocks_of, cut_windows
from relcon_lightning.errors import DataError

WINDOW = 32


def signal_of(n, seed=0):
    return np.cumsum(np.random.default_rng(seed).standard_normal((n, 3)), axis=0) / 10


def pieces(times, signal, sizes):
    edges = np.cumsum([s for s in sizes if s])
    edges = edges[edges < len(times)]
    return [Block(t, x) for t, x in zip(np.split(times, edges), np.split(signal, edges), strict=True)]


def cut(blocks, source_rate, target_rate, stride=WINDOW, max_gap_s=1.0):
    parts = list(cut_windows(blocks, source_rate, target_rate, WINDOW, stride, max_gap_s))
    if not parts:
        return np.empty(0), np.empty((0, 3, WINDOW))
    starts, windows = zip(*parts, strict=True)
    return np.concatenate(starts), np.concatenate(windows)


@given(
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from([20.0, 25.0, 50.0, 64.0, 100.0, 128.0]),
    st.integers(1, 70),
    st.integers(0, 5),
)
def test_windows_do_not_depend_on_how_a_recording_comes(sizes, rate, stride, seed):
    signal = signal_of(600, seed)
    times = np.arange(600) / rate
    whole = cut([Block(times, signal)], rate, 50.0, stride)
    found = cut(pieces(times, signal, sizes), rate, 50.0, stride)
    np.testing.assert_allclose(found[0], whole[0])
    np.testing.assert_allclose(found[1], whole[1], atol=1e-5)


@pytest.mark.parametrize("rate", [25.0, 50.0, 100.0, 128.0])
def test_windows_are_those_of_the_resampled_recording(rate):
    signal = signal_of(1000)
    expected = resample(signal, rate, 50.0)
    starts, windows = cut(pieces(np.arange(1000) / rate, signal, [7, 300, 1, 90]), rate, 50.0)
    assert len(starts) == len(expected) // WINDOW
    np.testing.assert_allclose(starts, np.arange(len(starts)) * WINDOW / 50)
    for k, window in enumerate(windows):
        np.testing.assert_allclose(window, expected[k * WINDOW : (k + 1) * WINDOW].T, atol=1e-4)


@pytest.mark.parametrize("split", [100, 170, 200, 230])
def test_no_window_lies_across_a_gap_or_the_beginning_of_a_stretch(split):
    times = np.arange(400) / 50.0
    times[200:] += 3.0
    signal = signal_of(400)
    starts, windows = cut(pieces(times, signal, [split]), 50.0, 50.0)
    expected = np.concatenate([np.arange(6) * WINDOW / 50, 7.0 + np.arange(6) * WINDOW / 50])
    np.testing.assert_allclose(starts, expected)
    np.testing.assert_allclose(windows[6], signal[200 : 200 + WINDOW].T, atol=1e-6)


def test_missing_samples_are_interpolated_within_a_second_and_part_beyond():
    signal = np.stack([np.arange(400) / 50.0] * 3, axis=1)
    signal[10:20] = np.nan
    starts, windows = cut([Block(np.arange(400) / 50.0, signal)], 50.0, 50.0)
    np.testing.assert_allclose(windows[0, 0], np.arange(WINDOW) / 50, atol=1e-6)
    signal[10:80] = np.nan
    starts, _ = cut([Block(np.arange(400) / 50.0, signal)], 50.0, 50.0)
    assert starts[0] == pytest.approx(80 / 50)


def test_a_begun_stretch_is_apart_however_near():
    signal = signal_of(100)
    first, second = (next(blocks_of(lambda a, b: signal[a:b], 50, 50.0, start)) for start in (0.0, 1.0))
    starts, _ = cut([first, second], 50.0, 50.0)
    np.testing.assert_allclose(starts, [0.0, 1.0])
    joined = Block(second.times, second.signal)
    starts, _ = cut([first, joined], 50.0, 50.0)
    np.testing.assert_allclose(starts, np.arange(3) * WINDOW / 50)


def test_rates_that_are_too_far_apart_are_refused():
    with pytest.raises(DataError, match="too far apart"):
        cut([Block(np.arange(10) / 1e6, np.zeros((10, 3)))], 1e6, 50.0)


def test_a_sample_too_large_for_float32_is_missing():
    signal = signal_of(100)
    times = np.arange(100) / 100
    expected = cut([Block(np.delete(times, 40), np.delete(signal, 40, axis=0))], 100.0, 100.0)
    signal[40, 1] = 1e300
    found = cut([Block(times, signal)], 100.0, 100.0)
    assert np.isfinite(found[1]).all()
    np.testing.assert_array_equal(found[1], expected[1])
