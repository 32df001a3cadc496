"""A cohort that is prepared in parts opens as one, and new files are added without writing the old ones again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcon_lightning.data import CohortStore
from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.prepare import Reading, add, prepare, source_changes
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.sampling import CandidateSampler
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.data.store.manifest import description_checksum
from relcon_lightning.data.store.origins import SOURCES
from relcon_lightning.data.store.parts import Part
from relcon_lightning.errors import ConfigError, DataError
from tests.data.acting_units import INFO, Units
from tests.data.test_prepare import Listed, still

SKIP = Reading(on_bad_file="skip")


def in_parts(source: Units | RecordingFolder, path: Path, of: int, reading: Reading | None = None) -> CohortStore:
    for number in range(of, 0, -1):  # in any order
        prepare(source, path, 100.0, reading=reading, part=Part(number, of))
    return CohortStore.open(path)


def assert_same(one: CohortStore, other: CohortStore) -> None:
    """But for the places of the signals."""
    places = ["shard", "offset"]
    pd.testing.assert_frame_equal(one.recordings.drop(columns=places), other.recordings.drop(columns=places))
    pd.testing.assert_frame_equal(one.participants, other.participants)
    pd.testing.assert_frame_equal(one.segments, other.segments)
    assert (one.info, one.excluded, one.coding) == (other.info, other.excluded, other.coding)
    for row in one.recordings.itertuples():
        a, b = (store.read(row.recording_id, 0, row.n_samples) for store in (one, other))
        np.testing.assert_array_equal(a, b)


def test_parts_open_as_the_store_that_is_written_at_once(tmp_path):
    source = Units("fine", "bad", "fine", "fine", "fine")
    whole = prepare(source, tmp_path / "whole", 100.0, reading=SKIP)
    parted = in_parts(source, tmp_path / "parted", 3, SKIP)
    assert [path.name for path in sorted((tmp_path / "parted").iterdir())] == [
        f"part-{i:03d}-of-003" for i in (1, 2, 3)
    ]
    assert_same(whole, parted)
    assert parted.recordings["shard"].nunique() == 3
    parted.verify()
    assert parted.fingerprint() == CohortStore.open(tmp_path / "parted").fingerprint() != whole.fingerprint()
    people = tuple(whole.participants["participant_id"])
    draws = [CandidateSampler(store.recordings, people, 50, 3, 8, seed=1).draw(5, 0, 1) for store in (whole, parted)]
    windows = [
        store.gather(draw.recordings.ravel(), draw.starts.ravel(), 50)
        for store, draw in zip((whole, parted), draws, strict=True)
    ]
    np.testing.assert_array_equal(*windows)


def test_people_whose_files_are_in_several_parts_are_counted_once(tmp_path):
    folder = tmp_path / "walks"
    for file in ("a1", "a2", "b1", "a3"):
        walk(folder, file)
    source = folder_source(folder)
    assert_same(prepare(source, tmp_path / "whole"), in_parts(source, tmp_path / "parted", 4))


def test_parts_in_a_bucket_open_too(tmp_path):
    local = in_parts(Units("fine", "fine"), tmp_path / "toy", 2)
    assert_same(local, CohortStore.open((tmp_path / "toy").as_uri()))


def test_parts_are_even_and_whole():
    units = list(range(10))
    for of in (1, 3, 10):
        shares = [Part(number, of).share(units) for number in range(1, of + 1)]
        assert [unit for share in shares for unit in share] == units
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert str(Part.parse("3/100")) == "3/100"
    assert Part.of_rank({"RANK": "2", "WORLD_SIZE": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}) == Part(3, 4)
    assert Part.of_rank({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}) == Part(1, 2)
    with pytest.raises(ConfigError, match="neither torchrun nor srun"):
        Part.of_rank({"RANK": "0"})
    for text in ("0/4", "5/4", "1", "1/0", "a/b", "-1/3", "1/4/5"):
        with pytest.raises(ConfigError, match="part="):
            Part.parse(text)


def test_what_is_not_a_whole_cohort_is_refused(tmp_path):
    source, path = Units("fine", "fine", "fine", "fine"), tmp_path / "toy"
    in_parts(source, path, 3)
    shutil.move(path / "part-002-of-003", tmp_path / "aside")
    with pytest.raises(DataError, match=r"parts are missing: prepare part=2/3"):
        CohortStore.open(path)
    prepare(Units("fine", "fine", "fine", "fine", "fine"), path, part=Part(2, 3))
    with pytest.raises(DataError, match=r"part-00\d-of-003 and part-00\d-of-003 were prepared from different lists"):
        CohortStore.open(path)
    prepare(source, path, part=Part(2, 3), reading=Reading(dtype="int16"), overwrite=True)
    with pytest.raises(DataError, match=r"part-001-of-003 and part-002-of-003 have different schema"):
        CohortStore.open(path)
    prepare(source, path, part=Part(2, 3), overwrite=True)
    assert len(CohortStore.open(path).recordings) == 8
    prepare(source, path, part=Part(1, 2))
    with pytest.raises(DataError, match="mixes divisions into 2 and 3 parts"):
        CohortStore.open(path)


def test_a_damaged_file_of_a_part_is_named(tmp_path):
    path = tmp_path / "toy"
    in_parts(Units("fine", "fine"), path, 2)
    signal = path / "part-002-of-002" / "signals" / "00000.npy"
    content = bytearray(signal.read_bytes())
    content[200] ^= 1
    signal.write_bytes(content)
    with pytest.raises(DataError, match=r"part-002-of-002/signals/00000\.npy was changed or damaged"):
        CohortStore.open(path)
    signal.unlink()
    with pytest.raises(DataError, match=r"part-002-of-002/signals/00000\.npy is missing"):
        CohortStore.open(path)
    (path / "part-001-of-002" / "segments.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match=r"part-001-of-002/segments\.parquet has 1 bytes"):
        CohortStore.open(path)


def test_a_whole_store_and_parts_do_not_mix(tmp_path):
    source = Units("fine", "fine")
    prepare(source, tmp_path / "whole")
    with pytest.raises(DataError, match="whole is a complete store"):
        prepare(source, tmp_path / "whole", part=Part(1, 2))
    in_parts(source, tmp_path / "parted", 2)
    assert len(prepare(Units("bad"), tmp_path / "parted").recordings) == 4  # kept
    with pytest.raises(DataError, match="parted exists and is not a cohort store"):
        prepare(source, tmp_path / "parted", overwrite=True)


def test_a_source_without_files_has_no_parts_and_few_files_have_few(tmp_path):
    with pytest.raises(ConfigError, match="part=1/2: toy has no parts"):
        prepare(Listed(still("a")), tmp_path / "toy", part=Part(1, 2))
    with pytest.raises(ConfigError, match="part=1/3: there are only 2 files"):
        prepare(Units("fine", "fine"), tmp_path / "toy", part=Part(1, 3))


def walk(folder: Path, name: str, level: float = 1.0) -> Path:
    folder.mkdir(exist_ok=True)
    t = np.arange(0, 4, 1 / 50)
    rows = "\n".join(f"{s:.2f},{0.1 * np.sin(s):.4f},0.0,{level:.3f}" for s in t)
    (folder / f"{name}.csv").write_text(f"time,x,y,z\n{rows}\n")
    return folder


def folder_source(folder: Path, **settings: object) -> RecordingFolder:
    return RecordingFolder(folder, participant="[a-z](?=[0-9])", time_column="time", name="walks", **settings)


@pytest.mark.parametrize("of", [None, 2])
def test_new_files_are_added_and_the_old_ones_are_not_written_again(tmp_path, of, caplog):
    caplog.set_level("WARNING", logger="relcon_lightning")
    folder = walk(walk(tmp_path / "walks", "b1"), "a1")
    path = tmp_path / "store"
    before = prepare(folder_source(folder), path) if of is None else in_parts(folder_source(folder), path, of)
    assert add(folder_source(folder), before) is before
    assert "nothing is added" not in caplog.text  # at the level of warnings
    inodes = {file.stat().st_ino for file in path.rglob("*.npy")}
    walk(walk(folder, "a0"), "c1")
    assert str(source_changes(folder_source(folder), before)) == "2 new (a0.csv, c1.csv)"
    after = add(folder_source(folder), before)
    assert {file.stat().st_ino for file in path.rglob("*.npy")} > inodes
    after.verify()
    assert_same(after, prepare(folder_source(folder), tmp_path / "anew"))
    assert str(source_changes(folder_source(folder), after)) == ""
    walk(folder, "d1")
    assert_same(add(folder_source(folder), after), prepare(folder_source(folder), tmp_path / "again"))


def spell_as_before(path: Path) -> None:
    """Write the manifest as older versions did, which spelled the key ``license`` in the British way."""
    manifest = json.loads(path.read_text())
    manifest["info"]["licence"] = manifest["info"].pop("license")
    manifest["description_sha256"] = description_checksum(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("of", [None, 2])
def test_a_store_with_the_older_spelling_of_license_opens_and_is_added_to(tmp_path, of):
    folder, path = walk(walk(tmp_path / "walks", "b1"), "a1"), tmp_path / "store"
    before = prepare(folder_source(folder), path) if of is None else in_parts(folder_source(folder), path, of)
    older = path / "cohort.json" if of is None else path / "part-001-of-002" / "cohort.json"
    spell_as_before(older)  # of two parts, one
    store = CohortStore.open(path)
    assert_same(store, before)
    assert store.info.license == "own"
    store.verify()
    walk(folder, "c1")
    assert_same(add(folder_source(folder), store), prepare(folder_source(folder), tmp_path / "anew"))
    manifest = json.loads(older.read_text())
    assert ("license" in manifest["info"]) == (of is None)  # added files rewrite the manifest of a whole store


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: walk(folder, "a1", level=1.01),
        lambda folder: (folder / "segments.csv").write_text("file,start_s,end_s,label\na1.csv,0,2,walk\n"),
        lambda folder: (folder / "recordings.csv").write_text("file,participant\na1.csv,z\nb1.csv,b\n"),
    ],
    ids=["the file", "its labels", "its participant"],
)
def test_a_changed_file_is_named_and_refused(tmp_path, change):
    folder = walk(walk(tmp_path / "walks", "b1"), "a1")
    store = prepare(folder_source(folder), tmp_path / "store")
    change(folder)
    assert str(source_changes(folder_source(folder), store)) == "1 changed (a1.csv)"
    with pytest.raises(DataError, match=r"1 file changed since it was made \(a1\.csv\).*overwrite=true"):
        add(folder_source(folder), store)


def test_other_settings_are_a_change_and_a_touched_file_is_none(tmp_path):
    folder = walk(walk(tmp_path / "walks", "b1"), "a1")
    store = prepare(folder_source(folder), tmp_path / "store")
    os.utime(folder / "a1.csv", (1, 1))
    found = source_changes(folder_source(folder), store)
    assert found is not None
    assert (found.new, found.changed, found.gone) == ([], [], [])
    assert str(source_changes(folder_source(folder, max_gap_s=2.0), store)) == "2 changed (a1.csv, b1.csv)"
    (folder / "b1.csv").unlink()
    assert str(source_changes(folder_source(folder), store)) == "1 gone (b1.csv)"
    assert len(add(folder_source(folder), store).recordings) == 2


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path):
    folder = walk(walk(tmp_path / "walks", "b1"), "a1")
    (folder / "c1.csv").write_text("time,x,y,z\n0,a,b,c\n")
    store = prepare(folder_source(folder), tmp_path / "store", reading=SKIP)
    assert list(store.excluded) == ["c1.csv"]
    walk(folder, "c1")
    mended = add(folder_source(folder), store)
    assert mended.excluded == {}
    assert_same(mended, prepare(folder_source(folder), tmp_path / "anew"))


def test_a_store_that_does_not_say_what_it_was_made_from_cannot_be_added_to(tmp_path):
    folder = walk(tmp_path / "walks", "a1")
    store = prepare(folder_source(folder), tmp_path / "store")
    versions = Path(store.path) / SOURCES
    assert list(json.loads(versions.read_text())) == ["a1.csv"]
    for damaged in ("[1]", "{", '{"a1.csv": {"bytes": 1}}'):
        versions.write_text(damaged)
        with pytest.raises(DataError, match=r"sources\.json is damaged"):
            add(folder_source(folder), store)
    versions.unlink()
    with pytest.raises(DataError, match="does not record its source files"):
        add(folder_source(folder), store)
    with pytest.raises(ConfigError, match="add=true: toy is not read file by file"):
        add(Units("fine"), store)


def test_an_int16_store_stays_one_and_parts_can_be_embedded(tmp_path):
    folder = walk(tmp_path / "walks", "a1")
    path, half = tmp_path / "store", Reading(dtype="int16")
    store = prepare(folder_source(folder), path, reading=half)
    walk(folder, "b1", 20.0 / 8)
    assert_same(add(folder_source(folder), store), prepare(folder_source(folder), tmp_path / "anew", reading=half))
    in_parts(folder_source(folder), tmp_path / "parted", 2)
    layout = Layout(("x", "y", "z"), "g", None, "time", "s", ",", 1.0)
    assert [one.recording_id for one in find_inputs(tmp_path / "parted", layout)] == ["a1", "b1"]
    assert INFO.name == "toy"
