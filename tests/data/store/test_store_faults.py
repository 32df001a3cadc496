"""What goes wrong while a store is written leaves the old one, or says so."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import numpy as np
import pytest

import relcon_lightning.data.store.write as write_module
from relcon_lightning.data import CohortStore
from relcon_lightning.errors import DataError
from tests.data.store.test_store import INFO, recording


def assert_the_old_one_alone(folder: Path) -> None:
    assert CohortStore.open(folder / "toy").recordings["recording_id"].tolist() == ["old"]
    assert [p.name for p in folder.iterdir()] == ["toy"]


def test_recordings_with_nan_are_left_out_and_counted(tmp_path, caplog):
    broken = recording("broken", participant="anna")
    broken.signal[5, 1] = np.nan
    broken.signal[9] = np.inf
    with caplog.at_level(logging.WARNING):
        store = CohortStore.write(tmp_path / "toy", [recording("fine"), broken], INFO)
    assert store.recordings["recording_id"].tolist() == ["fine"]
    assert store.excluded == {"broken": "2 samples are not finite"}
    assert "broken of participant anna" in caplog.text


def test_wrong_input_is_named_and_leaves_nothing_behind(tmp_path):
    cases = {
        "occurs twice": [recording("a"), recording("a")],
        "has 50 Hz, the store 100 Hz": [recording("a", rate=50.0)],
        "has no usable recordings": [],
    }
    for message, content in cases.items():
        with pytest.raises(DataError, match=message):
            CohortStore.write(tmp_path / "toy", content, INFO)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_store(tmp_path):
    CohortStore.write(tmp_path / "toy", [recording("old")], INFO)

    def stops():
        yield recording("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CohortStore.write(tmp_path / "toy", stops(), INFO)
    assert_the_old_one_alone(tmp_path)


def test_a_full_disk_leaves_the_old_store(tmp_path, monkeypatch):
    CohortStore.write(tmp_path / "toy", [recording("old")], INFO)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write_module, "finish_file", full)
    with pytest.raises(OSError, match="No space left"):
        CohortStore.write(tmp_path / "toy", [recording("new")], INFO)
    assert_the_old_one_alone(tmp_path)


def test_what_a_killed_write_left_is_cleared_by_the_next(tmp_path):
    (tmp_path / ".toy.abcdefgh.partial" / "signals").mkdir(parents=True)
    (tmp_path / ".toy.abcdefgh.old").mkdir()
    (tmp_path / ".toy.v2.abcdefgh.partial").mkdir()  # of a store named toy.v2, perhaps being written
    CohortStore.write(tmp_path / "toy", [recording("old")], INFO)
    CohortStore.write(tmp_path / "toy", [recording("new")], INFO)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".toy.v2.abcdefgh.partial", "toy"]


def _moved_aside(path: Path) -> None:
    """What a kill between the two renames leaves."""
    path.rename(path.with_name(".toy.abcdefgh.old"))


def test_a_store_set_aside_by_a_killed_write_is_put_back_by_the_next(tmp_path):
    _moved_aside(CohortStore.write(tmp_path / "toy", [recording("old")], INFO).path)
    with pytest.raises(DataError, match="has no usable recordings"):
        CohortStore.write(tmp_path / "toy", [], INFO)
    assert_the_old_one_alone(tmp_path)


def test_a_failing_rename_leaves_the_old_store(tmp_path, monkeypatch):
    CohortStore.write(tmp_path / "toy", [recording("old")], INFO)
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="Input/output error"):
        CohortStore.write(tmp_path / "toy", [recording("new")], INFO)
    assert_the_old_one_alone(tmp_path)


def test_a_folder_that_is_no_store_is_not_overwritten(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="not a cohort store"):
        CohortStore.write(tmp_path / "precious", [recording("a")], INFO)
    assert (tmp_path / "precious" / "thesis.txt").exists()


def test_a_store_that_is_being_written_is_left_to_who_does_so(tmp_path):
    def writes():
        with pytest.raises(DataError, match=r"toy is being written by process \d+ on .*: wait until it ends"):
            CohortStore.write(tmp_path / "toy", [recording("second")], INFO)
        yield recording("first")

    store = CohortStore.write(tmp_path / "toy", writes(), INFO)
    assert store.recordings["recording_id"].tolist() == ["first"]
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_a_store_behind_a_link_is_replaced_where_it_lies(tmp_path):
    target = Path(CohortStore.write(tmp_path / "disk" / "toy", [recording("old")], INFO).path)
    (tmp_path / "data").mkdir()
    link = tmp_path / "data" / "toy"
    link.symlink_to(target)
    CohortStore.write(link, [recording("new")], INFO)
    assert link.is_symlink()
    for path in (link, target):
        assert CohortStore.open(path).recordings["recording_id"].tolist() == ["new"]
    assert [p.name for folder in (link.parent, target.parent) for p in folder.iterdir()] == ["toy", "toy"]


def test_a_link_that_leads_nowhere_is_filled_or_refused(tmp_path):
    (tmp_path / "toy").symlink_to(tmp_path / "disk" / "toy")
    CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    assert (tmp_path / "disk" / "toy" / "cohort.json").exists()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match="loop is a link to a missing folder"):
        CohortStore.write(tmp_path / "loop", [recording("a")], INFO)


def test_a_link_to_what_is_no_store_is_not_followed_to_overwrite_it(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    (tmp_path / "toy").symlink_to(tmp_path / "precious")
    with pytest.raises(DataError, match="precious exists and is not a cohort store"):
        CohortStore.write(tmp_path / "toy", [recording("a")], INFO)
    assert (tmp_path / "toy" / "thesis.txt").exists()
