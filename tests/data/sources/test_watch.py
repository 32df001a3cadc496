from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources import watch
from relcon_lightning.errors import DataError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return prepare(watch.WatchExercises(), tmp_path_factory.mktemp("data") / "watch")


@pytest.fixture(scope="module")
def original():
    file = distribution("seglearn").locate_file("seglearn/data/watch_dataset.npy")
    return np.load(str(file), allow_pickle=True, encoding="latin1").item()


def test_the_published_facts_hold(store):
    assert len(store.participants) == 10
    assert len(store.recordings) == 140
    assert (store.participants["n_recordings"] == 14).all()
    assert sorted(store.segments["label"].unique()) == ["ABD", "ER", "FEL", "IR", "PEN", "ROW", "TRAP"]
    assert store.sampling_rate == 100
    assert store.recordings["n_samples"].sum() / 100 / 60 == pytest.approx(81.37, abs=0.01)
    assert store.excluded == {}
    assert store.info.position == "wrist"
    assert "Burns" in store.info.citation


def test_values_labels_and_people_are_those_of_the_file(store, original):
    for i in (0, 17, 139):
        label = original["y_labels"][original["y"][i]]
        name = f"watch-{original['subject'][i]:02d}-side{int(original['side'][i])}-{label}"
        read = store.read(name, 0, 2 * len(original["X"][i]))
        # At twice the rate every other sample is an original one, but for the filter.
        error = np.abs(read[::2] - original["X"][i][:, :3])
        assert np.median(error) < 0.01
        assert store.segments.set_index("recording_id")["label"][name] == label


def test_recordings_are_the_file_row_by_row(original):
    recordings = list(watch.WatchExercises().recordings())
    assert len({recording.recording_id for recording in recordings}) == 140
    rows = zip(recordings, original["X"], original["side"], strict=True)
    for recording, signal, side in rows:
        np.testing.assert_array_equal(recording.signal, signal[:, :3])
        assert recording.sampling_rate == 50
        assert recording.attributes == {"side": f"side{side:.0f}"}
        [segment] = recording.segments
        assert (segment.start_s, segment.end_s) == (0, len(signal) / 50)


def test_the_package_is_not_imported(store):
    import sys

    assert "seglearn" not in sys.modules


def test_an_existing_store_is_kept_unless_asked(tmp_path, store):
    source = watch.WatchExercises()
    first = prepare(source, tmp_path / "watch")
    stamp = (first.path / "cohort.json").stat().st_mtime_ns
    prepare(source, tmp_path / "watch")
    assert (first.path / "cohort.json").stat().st_mtime_ns == stamp
    prepare(source, tmp_path / "watch", overwrite=True)
    assert (first.path / "cohort.json").stat().st_mtime_ns != stamp
    with pytest.raises(DataError, match="50 Hz are expected"):
        prepare(source, tmp_path / "watch", sampling_rate=50)


def test_another_file_is_refused_by_its_checksum(tmp_path):
    (tmp_path / "watch_dataset.npy").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"watch_dataset\.npy is not the published file.*pip install"):
        watch.WatchExercises(tmp_path)
    with pytest.raises(DataError, match=r"is missing.*pip install"):
        watch.WatchExercises(tmp_path / "empty")


class _Harm:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_a_pickle_that_runs_code_is_refused_before_it_is_loaded(tmp_path):
    path, target = tmp_path / "watch_dataset.npy", tmp_path / "run"
    evil = np.array({"X": [_Harm(target)]}, dtype=object)
    np.save(path, evil, allow_pickle=True)
    with pytest.raises(DataError, match="not the published file"):
        watch.WatchExercises(tmp_path)
    shutil.copy(str(distribution("seglearn").locate_file("seglearn/data/watch_dataset.npy")), path)
    source = watch.WatchExercises(tmp_path)
    np.save(path, evil, allow_pickle=True)  # after the check
    with pytest.raises(DataError, match="not the published file"):
        list(source.recordings())
    assert not target.exists()
    np.load(path, allow_pickle=True)
    assert target.exists()  # it does run code
