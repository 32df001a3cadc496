from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.data.prepare import prepare, summary
from relcon_lightning.errors import DataError

INFO = CohortInfo("toy", 50.0, "wrist", "made by the tests", "none", "none")
LAP = Segment(1.0, 2.5, "walk", {"speed": 1.2})


def still(name: str, seconds: float = 4, rate: float = 50.0, level: float = 1.0) -> Recording:
    """A wrist at rest: ``level`` g along the last axis."""
    signal = np.tile([0.0, 0.0, level], (round(seconds * rate), 1))
    return Recording(name, f"of-{name}", signal, rate, (LAP,), 12.5, {"side": "left"})


class Listed:
    """A source of ready recordings; an exception among them is raised when its turn comes."""

    info = INFO

    def __init__(self, *content: Recording | Exception) -> None:
        self.content = content

    def recordings(self) -> Iterator[Recording]:
        for item in self.content:
            if isinstance(item, Exception):
                raise item
            yield item


def test_the_rate_changes_and_all_else_stays(tmp_path: Path) -> None:
    store = prepare(Listed(still("a"), still("b", rate=25.0)), tmp_path / "toy")
    assert store.info == replace(INFO, sampling_rate=100.0)
    assert store.recordings["n_samples"].tolist() == [400, 400]
    assert store.recordings["start_time"].tolist() == [12.5, 12.5]
    assert store.recordings["side"].tolist() == ["left", "left"]
    columns = ["recording_id", "start_s", "end_s", "label", "speed"]
    assert store.segments[columns].to_numpy().tolist() == [[name, 1.0, 2.5, "walk", 1.2] for name in "ab"]
    np.testing.assert_allclose(store.read("b", 0, 400), np.tile([0, 0, 1], (400, 1)), atol=1e-3)


def test_a_source_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file 2 is missing"):
        prepare(Listed(still("a"), DataError("file 2 is missing")), tmp_path / "toy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [still("b", level=9.81), DataError("file 2 is missing")])
def test_overwriting_from_a_bad_source_keeps_the_old_store(tmp_path: Path, bad: Recording | Exception) -> None:
    prepare(Listed(still("old")), tmp_path / "toy")
    with pytest.raises(DataError, match=r"9\.80665|file 2 is missing"):
        prepare(Listed(still("a"), bad), tmp_path / "toy", overwrite=True)
    assert CohortStore.open(tmp_path / "toy").recordings["recording_id"].tolist() == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_another_unit_names_recording_participant_and_norm(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"arm of participant of-arm: median norm 9\.81.*9\.80665"):
        prepare(Listed(still("arm", level=9.81)), tmp_path / "toy")


def test_a_refused_recording_ends_the_progress_display(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(DataError) as caught:  # keeps the frames of the failed call alive
        prepare(Listed(still("arm", level=9.81)), tmp_path / "toy")
    left = set(threading.enumerate()) - before
    for thread in left:  # a display that was told to stop may take a moment
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)
    assert "arm" in str(caught.value)


def test_a_store_that_is_there_is_not_prepared_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(Listed(still("old")), tmp_path / "toy")
    with caplog.at_level(logging.INFO):
        kept = prepare(Listed(AssertionError("the source was read")), tmp_path / "toy")
    assert kept.recordings["recording_id"].tolist() == ["old"]
    assert "already exists" in caplog.text
    replaced = prepare(Listed(still("new")), tmp_path / "toy", overwrite=True)
    assert replaced.recordings["recording_id"].tolist() == ["new"]


def test_a_damaged_store_is_not_replaced_unasked(tmp_path: Path) -> None:
    store = prepare(Listed(still("old")), tmp_path / "toy")
    (store.path / "segments.parquet").unlink()
    with pytest.raises(DataError, match=r"segments\.parquet is missing.*overwrite=true"):
        prepare(Listed(still("new")), tmp_path / "toy")
    prepare(Listed(still("new")), tmp_path / "toy", overwrite=True).verify()


def test_what_was_left_out_is_counted_in_the_summary(tmp_path: Path) -> None:
    broken, empty = still("broken"), replace(still("empty"), signal=np.empty((0, 3)), segments=())
    broken.signal[7, 0] = np.nan
    store = prepare(Listed(still("fine", 3600), broken, empty), tmp_path / "toy")
    assert set(store.excluded) == {"broken", "empty"}
    expected = "1 participant, 1 recording, 1.00 h at 100 Hz, 1 label, 2 recordings left out (see cohort.json)."
    assert summary(store) == expected


def test_a_label_that_ends_a_sample_late_is_cut_at_the_end(tmp_path: Path) -> None:
    """Last stamp plus one step: within the tolerance at 25 Hz, four samples past the end at 100 Hz."""
    late = replace(still("a", 4, rate=25.0), segments=(Segment(1.0, 4.04, "walk"),))
    assert prepare(Listed(late), tmp_path / "toy").segments["end_s"].tolist() == [4.0]
