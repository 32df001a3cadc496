"""Samples as whole numbers: half the bytes, a bounded error, and what does not fit is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from relcon_lightning.data import CohortStore, Recording
from relcon_lightning.data.prepare import Reading, prepare
from relcon_lightning.data.store.signals import FLOAT32, INT16, coding_of
from relcon_lightning.errors import ConfigError, DataError
from tests.conftest import INFO, recordings
from tests.data.test_prepare import Listed, still


@given(arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-15.96875, 15.96875, width=32)))
def test_the_error_is_half_a_step_within_the_limits(signal):
    coded, cut = INT16.encode(np.asfortranarray(signal))
    assert coded.dtype == np.int16
    assert coded.flags["C_CONTIGUOUS"]
    assert cut == 0
    decoded = INT16.decode(coded.astype(np.float32))
    assert np.abs(decoded.astype(np.float64) - signal.astype(np.float64)).max() <= INT16.error_g
    assert INT16.error_g == 2**-12
    np.testing.assert_array_equal(INT16.encode(decoded)[0], coded)  # what was rounded once stays


def test_what_does_not_fit_is_cut_counted_and_named(tmp_path, caplog):
    shaken = still("arm")
    shaken.signal[[3, 5, 9], 1] = [17.0, -40.0, 15.9]
    store = prepare(Listed(still("calm"), shaken), tmp_path / "toy", 50.0, reading=Reading(dtype="int16"))
    assert "Recording arm of participant of-arm: 2 of 200 samples exceed 16 g" in caplog.text
    assert "calm" not in caplog.text
    manifest = json.loads((tmp_path / "toy" / "cohort.json").read_text())
    assert manifest["signal"] == {"dtype": "int16", "scale": 2**-11, "cut_samples": 2}
    assert np.abs(store.read("arm", 0, 200)).max() == 16.0


def test_half_the_bytes_and_the_same_windows_within_the_error(tmp_path):
    made = recordings({"a": [700, 400], "b": [500]})
    whole = CohortStore.write(tmp_path / "whole", made, INFO, shard_samples=600)
    half = CohortStore.write(tmp_path / "half", made, INFO, shard_samples=600, coding=INT16)
    sizes = [[file.stat().st_size - 128 for file in sorted((s.path / "signals").iterdir())] for s in (whole, half)]
    assert sizes[0] == [2 * size for size in sizes[1]]
    rows, starts = np.array([0, 1, 2, 0]), np.array([5, 300, 0, 399])
    a, b = (store.gather(rows, starts, 100) for store in (whole, half))
    assert b.dtype == np.float32
    assert 0 < np.abs(a - b).max() <= INT16.error_g
    np.testing.assert_array_equal(half.read("a-0", 10, 60), half.gather(np.array([0]), np.array([10]), 50)[0].T)
    bucket = CohortStore.open(half.path.as_uri())
    np.testing.assert_array_equal(bucket.gather(rows, starts, 100), b)
    half.verify()


def test_float32_stays_as_it_was(tmp_path):
    [recording] = recordings({"a": [300]})
    store = CohortStore.write(tmp_path / "toy", [recording], INFO)
    np.save(tmp_path / "expected.npy", recording.signal)
    assert (store.path / "signals" / "00000.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    manifest = json.loads((store.path / "cohort.json").read_text())
    assert manifest["schema"] == 1
    assert "signal" not in manifest
    assert store.coding == FLOAT32


@pytest.mark.parametrize(
    "change",
    [{"scale": 0.5}, {"scale": "small"}, {"scale": 2.0}, {"dtype": "int8"}, {}, None],
    ids=["another scale", "no number", "too large", "another type", "nothing in it", "none"],
)
def test_a_manifest_with_another_code_is_refused(tmp_path, change):
    CohortStore.write(tmp_path / "toy", recordings({"a": [300]}), INFO, coding=INT16)
    path = tmp_path / "toy" / "cohort.json"
    manifest = json.loads(path.read_text())
    manifest["signal"] = {**manifest["signal"], **change} if change else change
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"cohort\.json (was changed|is damaged)"):
        CohortStore.open(tmp_path / "toy")
    del manifest["description_sha256"]
    path.write_text(json.dumps(manifest))
    if change == {"scale": 0.5}:  # of a store that was written with it
        return
    with pytest.raises(DataError, match=r"cohort\.json is damaged"):
        CohortStore.open(tmp_path / "toy")


def test_an_unknown_type_is_refused_before_anything_is_read():
    with pytest.raises(ConfigError, match=r"store\.dtype=int8: expected one of float32, int16"):
        Reading(dtype="int8")
    assert coding_of("float32") is FLOAT32


def test_an_empty_or_broken_recording_is_left_out_as_ever(tmp_path):
    broken = still("broken")
    broken.signal[4] = np.inf
    empty: Recording = replace(still("empty"), signal=np.empty((0, 3)), segments=())
    store = prepare(Listed(broken, still("fine"), empty), tmp_path / "toy", 50.0, reading=Reading(dtype="int16"))
    assert store.excluded == {"broken": "1 samples are not finite", "empty": "empty"}
    assert Path(store.path, "scratch").exists() is False
