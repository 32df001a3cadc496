"""Rows of zeros and fill values are missing samples; a real zero now and then is not."""

from __future__ import annotations

import logging
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.data.readers.missing import FILL_VALUES, SHORTEST_ZEROS, missing_rows, name_missing


def resting(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal([0, 0, 1], 0.01, (rows, 3))


def test_a_stretch_of_zeros_is_missing_and_a_short_one_is_not():
    signal = resting(100)
    signal[20:50] = 0
    signal[60 : 60 + SHORTEST_ZEROS - 1] = 0
    signal[70:90, :2] = 0  # at rest a coarse sensor gives 0,0,1
    signal[70:90, 2] = 1
    assert np.flatnonzero(missing_rows(signal)).tolist() == list(range(20, 50))


@pytest.mark.parametrize("value", [*FILL_VALUES, np.float32(-999.9), np.float32(-9999.9)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_row_of_a_fill_value_is_missing(value, kind):
    signal = resting(10).astype(kind)
    signal[4] = value
    signal[6, 0] = value  # one axis alone is a damaged cell, and is seen by its norm
    assert np.flatnonzero(missing_rows(signal)).tolist() == [4]


def test_what_a_sensor_measures_stays():
    counts = np.random.default_rng(0).integers(-2048, 2048, (5000, 3))
    counts[::7] = 511  # clipped on all axes
    assert not missing_rows(counts).any()
    assert not missing_rows(counts / 1000).any()
    assert not missing_rows(np.full((5, 3), np.nan)).any()
    assert missing_rows(np.zeros((0, 3))).shape == (0,)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 60))
def test_zeros_are_found_however_the_rows_are_cut(zeros, cut):
    signal = np.where(np.array(zeros)[:, None], 0.0, [0.1, 0.2, 0.9])
    expected = [whether and (first or last or n >= SHORTEST_ZEROS) for whether, first, last, n in runs(zeros)]
    assert missing_rows(signal).tolist() == expected
    cut = min(cut, len(zeros))
    parts = np.concatenate([missing_rows(signal[:cut]), missing_rows(signal[cut:])])
    assert not (missing_rows(signal) & ~parts).any()


def runs(zeros):
    """For each row: whether it is zero, whether its run is the first or the last, and the length of the run."""
    groups = [(key, len(list(group))) for key, group in groupby(zeros)]
    for i, (key, length) in enumerate(groups):
        yield from [(key, i == 0, i == len(groups) - 1, length)] * length


def test_missing_rows_are_named_with_their_share(caplog):
    with caplog.at_level(logging.WARNING):
        name_missing("P01.csv", 0, 100)
        assert not caplog.text
        name_missing("P01.csv", 63, 100)
        name_missing("P02.csv", 10, 10)
    assert "P01.csv: 63 of 100 rows (63 %)" in caplog.text
    assert "P02.csv: 10 of 10 rows (100 %)" in caplog.text
