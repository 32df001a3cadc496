from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.errors import DataError

INFO = CohortInfo("toy", 100.0, "wrist", "made by the tests", "none", "none")


def recording(name: str, n: int = 300, participant: str = "p", rate: float = 100.0, seed: int = 0) -> Recording:
    signal = np.random.default_rng([seed, n]).standard_normal((n, 3)).astype(np.float32)
    segments = (Segment(0.5, 1.5, "walk", {"speed": 1.2}),) if n >= 150 else ()
    return Recording(name, participant, signal, rate, segments, attributes={"side": "left"})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=8), shard=st.integers(50, 400))
def test_what_is_written_is_read_back(tmp_path_factory, lengths, shard):
    path = tmp_path_factory.mktemp("store") / "toy"
    written = {f"r{i}": recording(f"r{i}", n, f"p{i % 3}", seed=i) for i, n in enumerate(lengths)}
    store = CohortStore.write(path, written.values(), INFO, shard_samples=shard)
    assert store.info == INFO
    assert set(store.recordings["recording_id"]) == set(written)
    assert store.participants["n_samples"].sum() == sum(lengths)
    for name, original in written.items():
        read = store.read(name, 0, len(original.signal))
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, original.signal)
    store.verify()


def test_gather_is_many_reads_across_shards_and_survives_pickling(tmp_path):
    store = CohortStore.write(
        tmp_path / "toy", (recording(f"r{i}", 200 + i, seed=i) for i in range(6)), INFO, shard_samples=300
    )
    assert store.recordings["shard"].nunique() > 2
    rng = np.random.default_rng(0)
    rows, starts = rng.integers(0, 6, 50), rng.integers(0, 150, 50)
    unopened = len(pickle.dumps(store))
    store.gather(rows, starts, 40)  # opens the files
    assert len(pickle.dumps(store)) == unopened  # else every worker is sent the whole cohort
    for reader in (store, pickle.loads(pickle.dumps(store))):
        windows = reader.gather(rows, starts, 40)
        assert windows.shape == (50, 3, 40)
        assert windows.flags["C_CONTIGUOUS"]
        for window, row, start in zip(windows, rows, starts, strict=True):
            name = store.recordings["recording_id"][row]
            np.testing.assert_array_equal(window.T, store.read(name, start, start + 40))


def test_segments_keep_labels_and_targets(tmp_path):
    store = CohortStore.write(tmp_path / "toy", [recording("a"), recording("b", 100)], INFO)
    assert store.segments.to_dict("records") == [
        {"recording_id": "a", "start_s": 0.5, "end_s": 1.5, "label": "walk", "speed": 1.2}
    ]
    assert store.recordings["side"].tolist() == ["left", "left"]


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (0, 301), (7, 3)])
def test_reading_outside_of_a_recording_names_it(tmp_path, start, stop):
    store = CohortStore.write(tmp_path / "toy", [recording("arm-1")], INFO)
    with pytest.raises(DataError, match="arm-1 has 300 samples"):
        store.read("arm-1", start, stop)


def test_gathering_outside_of_a_recording_never_reads_its_neighbour(tmp_path):
    store = CohortStore.write(tmp_path / "toy", [recording("a"), recording("b")], INFO)
    with pytest.raises(DataError, match="Recording a: 50 samples from sample 260"):
        store.gather(np.array([0]), np.array([260]), 50)


@pytest.mark.parametrize("row", [-1, 2])
def test_gathering_an_unknown_row_is_refused(tmp_path, row):
    store = CohortStore.write(tmp_path / "toy", [recording("a"), recording("b")], INFO)
    with pytest.raises(DataError, match=f"2 recordings, no row {row}"):
        store.gather(np.array([0, row]), np.array([0, 0]), 50)


def test_tables_are_sorted_by_id(tmp_path):
    laps = (Segment(1.5, 2.0, "second"), Segment(0.0, 0.5, "first"))
    rows = [replace(recording(name), segments=laps) for name in ("b", "a")]
    store = CohortStore.write(tmp_path / "toy", rows, INFO)
    assert store.recordings["recording_id"].tolist() == ["a", "b"]
    assert store.segments["recording_id"].tolist() == ["a", "a", "b", "b"]
    assert store.segments["label"].tolist() == ["first", "second"] * 2


def test_unknown_recordings_and_missing_stores_are_named(tmp_path):
    store = CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    with pytest.raises(DataError, match="no recording 'zzz'"):
        store.read("zzz", 0, 1)
    with pytest.raises(DataError, match="relcon-prepare"):
        CohortStore.open(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "name", ["signals/00000.npy", "recordings.parquet", "segments.parquet", "participants.parquet"]
)
@pytest.mark.parametrize("harm", ["truncate", "remove"])
def test_a_damaged_file_is_named_when_the_store_is_opened(tmp_path, name, harm):
    store = CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    file = store.path / name
    if harm == "truncate":
        file.write_bytes(file.read_bytes()[:-7])
    else:
        file.unlink()
    with pytest.raises(DataError, match=f"{name}.*prepare the store again"):
        CohortStore.open(store.path)


def test_a_changed_sample_is_found_by_verify(tmp_path):
    store = CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    file = store.path / "signals/00000.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"signals/00000\.npy was changed"):
        CohortStore.open(store.path).verify()


def test_a_table_damaged_at_its_length_is_named(tmp_path):
    store = CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    file = store.path / "recordings.parquet"
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(DataError, match=r"recordings\.parquet is damaged.*prepare the store again"):
        CohortStore.open(store.path)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("info",), None),
        (("info", "colour"), "red"),
        (("info", "sampling_rate"), "fast"),
        (("info", "sampling_rate"), -100.0),
        (("excluded",), None),
        (("unit",), "m/s^2"),
        (("files",), []),
        (("files", "signals/00000.npy"), None),
        (("files", "signals/00000.npy", "bytes"), None),
    ],
)
def test_an_edited_manifest_is_refused(tmp_path, keys, value):
    """``None`` removes the key."""
    store = CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    manifest = json.loads((store.path / "cohort.json").read_text())
    *parents, last = keys
    place = manifest
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    (store.path / "cohort.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError):
        CohortStore.open(store.path)


@pytest.mark.parametrize("content", ["{", '{"schema": 1}', "[1]", '{"schema": 99, "files": {}}'])
def test_a_damaged_or_foreign_manifest_is_refused(tmp_path, content):
    store = CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    (store.path / "cohort.json").write_text(content)
    with pytest.raises(DataError, match=r"cohort\.json"):
        CohortStore.open(store.path)


def test_manifest_says_where_the_data_is_from(tmp_path):
    store = CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    manifest = json.loads(Path(store.path / "cohort.json").read_text())
    assert manifest["unit"] == "g"
    assert manifest["info"]["position"] == "wrist"
    assert all(len(entry["sha256"]) == 64 for entry in manifest["files"].values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": np.zeros((5, 2))}, r"\(samples, 3\), found \(5, 2\)"),
        ({"sampling_rate": 0.0}, "rate above 0"),
        ({"segments": (Segment(1.0, 9.0, "x"),)}, "not inside"),
        ({"segments": (Segment(1.0, 1.0, "x"),)}, "not inside"),
        ({"segments": (Segment(np.nan, 1.0, "x"),)}, "not inside"),
        ({"attributes": {"offset": 30.0}}, "offset is a column of the store"),
        ({"segments": (Segment(0.0, 1.0, "x", {"end_s": 9.0}),)}, "end_s is a column of the store"),
    ],
)
def test_impossible_recordings_are_refused(change, message):
    good = {"recording_id": "r7", "participant_id": "p", "signal": np.zeros((300, 3)), "sampling_rate": 100.0}
    with pytest.raises(DataError, match=f"r7.*{message}"):
        Recording(**{**good, **change})


def test_what_is_constant_of_a_person_can_be_stratified_by(tmp_path):
    def recording(person: str, number: int, sex: str) -> Recording:
        attributes = {"sex": sex, "arm": "left" if number else "right"}
        return Recording(f"{person}{number}", person, np.ones((10, 3)), 100.0, (), None, attributes)

    made = [recording("a", 0, "f"), recording("a", 1, "f"), recording("b", 0, "m")]
    store = CohortStore.write(tmp_path / "toy", made, INFO)
    assert store.strata("sex") == {"a": "f", "b": "m"}
    assert store.strata(None) is None
    with pytest.raises(DataError, match=r"no column 'arm' to stratify by; it has participant_id, .*sex"):
        store.strata("arm")
