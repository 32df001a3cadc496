"""A store that is not what was written is refused, with the file's name and the way to mend it."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from relcon_lightning.data import CohortStore
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.readers.table_stream import TableStream
from relcon_lightning.data.store import verify
from relcon_lightning.data.store.folder import Folder
from relcon_lightning.data.store.manifest import MANIFEST, checksum
from relcon_lightning.data.store.parquet import read_table
from relcon_lightning.errors import ConfigError, DataError
from tests.data.store.test_store import INFO, recording

SHARDS = ("signals/00000.npy", "signals/00001.npy")


@pytest.fixture
def store(tmp_path, monkeypatch) -> CohortStore:
    """Two people and two signal files, of which nothing is remembered."""
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "cache"))
    made = [recording(f"r{i}", 300, f"p{i % 2}", seed=i) for i in range(4)]
    return CohortStore.write(tmp_path / "toy", made, INFO, shard_samples=500)


@pytest.fixture
def compared(monkeypatch) -> list[str]:
    """Names of the files whose checksums are compared."""
    names: list[str] = []
    real = Folder.checksum

    def watched(self: Folder, name: str) -> str:
        names.append(name)
        return real(self, name)

    monkeypatch.setattr(Folder, "checksum", watched)
    return names


def flip(file: Path, at: int = -5) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 4
    file.write_bytes(content)


def exchange_people(folder: Path) -> None:
    table = pd.read_parquet(folder / "recordings.parquet")
    table["participant_id"] = table["participant_id"].to_numpy()[::-1]
    table.to_parquet(folder / "recordings.parquet", index=False)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["recordings.parquet"]["bytes"] = (folder / "recordings.parquet").stat().st_size
    (folder / MANIFEST).write_text(json.dumps(manifest))


def exchange_signals(folder: Path) -> None:
    first, second = ((folder / name).read_bytes() for name in SHARDS)
    (folder / SHARDS[0]).write_bytes(second)
    (folder / SHARDS[1]).write_bytes(first)


HARM: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a flipped bit of a signal": (SHARDS[1], lambda folder: flip(folder / SHARDS[1])),
    "a flipped bit of a signal's header": (SHARDS[0], lambda folder: flip(folder / SHARDS[0], 100)),
    "a zeroed signal": (
        SHARDS[0],
        lambda folder: (folder / SHARDS[0]).write_bytes(
            (folder / SHARDS[0]).read_bytes()[:128] + bytes((folder / SHARDS[0]).stat().st_size - 128)
        ),
    ),
    "exchanged signals": (SHARDS[0], exchange_signals),
    "exchanged people": ("recordings.parquet", exchange_people),
    "a flipped bit of a table": ("participants.parquet", lambda folder: flip(folder / "participants.parquet", 40)),
    "a flipped bit of the segments": ("segments.parquet", lambda folder: flip(folder / "segments.parquet", 60)),
    "another rate in the manifest": (
        MANIFEST,
        lambda folder: (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace("100.0", "108.0")),
    ),
    "another position in the manifest": (
        MANIFEST,
        lambda folder: (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace("wrist", "ankle")),
    ),
}


@pytest.mark.parametrize("harm", HARM)
def test_what_was_changed_is_refused_and_named(store, harm):
    name, damage = HARM[harm]
    damage(Path(store.path))
    for mode in ("once", "always"):
        with pytest.raises(DataError, match=f"{name} .*prepare the store again with overwrite=true") as error:
            CohortStore.open(store.path, mode)
        assert len(str(error.value).splitlines()) == 1


def test_signals_are_compared_once_and_again_where_a_file_changed(store, compared):
    verify._memory(Folder(Path(store.path))).unlink(missing_ok=True)
    time.sleep(0.06)  # a file that was written just now may change without another time
    CohortStore.open(store.path)
    assert compared == list(SHARDS)
    CohortStore.open(store.path)
    CohortStore.open(Path(store.path) / ".." / "toy", "never")
    assert compared == list(SHARDS)
    CohortStore.open(store.path, "always")
    assert compared == 2 * list(SHARDS)
    flip(Path(store.path) / SHARDS[1])
    with pytest.raises(DataError, match=r"00001\.npy was changed"):
        CohortStore.open(store.path)
    assert compared[4:] == [SHARDS[1]]
    CohortStore.open(store.path, "never")
    flip(Path(store.path) / SHARDS[1])  # mended
    CohortStore.open(store.path)


def test_a_store_that_changes_as_soon_as_it_was_compared_is_compared_again(store):
    CohortStore.open(store.path)
    stamp = (Path(store.path) / SHARDS[0]).stat()
    flip(Path(store.path) / SHARDS[0])
    os.utime(Path(store.path) / SHARDS[0], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(DataError, match="was changed"):
        CohortStore.open(store.path)


@pytest.mark.parametrize("cache", ["/proc/nowhere", None])
def test_a_store_is_opened_where_nothing_can_be_remembered(store, monkeypatch, tmp_path, cache, compared):
    if cache is None:  # a file that holds something else
        verify._memory(Folder(Path(store.path))).write_text("[1")
    else:
        monkeypatch.setenv("RELCON_CACHE", cache)
    CohortStore.open(store.path)
    assert compared == list(SHARDS)


def test_nothing_is_written_into_the_store(store):
    before = sorted(Path(store.path).rglob("*"))
    CohortStore.open(store.path)
    assert sorted(Path(store.path).rglob("*")) == before


def test_another_word_is_refused(store):
    with pytest.raises(ConfigError, match=r"data\.verify=sometimes: expected once, always or never"):
        CohortStore.open(store.path, "sometimes")


def test_a_store_without_checksums_is_read_with_a_line(store, caplog):
    manifest = json.loads((Path(store.path) / MANIFEST).read_text())
    assert len(store.checksum()) == 64
    for facts in manifest["files"].values():
        del facts["sha256"]
    del manifest["description_sha256"]
    (Path(store.path) / MANIFEST).write_text(json.dumps(manifest))
    with caplog.at_level(logging.WARNING):
        old = CohortStore.open(store.path)
    assert "no checksum of participants.parquet, recordings.parquet" in caplog.text
    assert len(caplog.records) == 1
    assert old.checksum() is None
    old.verify()


def edited(store: CohortStore, table: str, change: Callable[[pd.DataFrame], object]) -> Path:
    """The store with a table that someone edited, and its checksum too."""
    folder = Path(store.path)
    frame = pd.read_parquet(folder / f"{table}.parquet")
    result = change(frame)
    (frame if not isinstance(result, pd.DataFrame) else result).to_parquet(folder / f"{table}.parquet", index=False)
    return sealed(folder, f"{table}.parquet")


def sealed(folder: Path, name: str) -> Path:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": checksum(folder / name)}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def put(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].tolist()
        values[-1] = value
        return frame.assign(**{column: values})

    return change


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("recordings", put("n_samples", -5), "n_samples holds -5"),
        ("recordings", put("n_samples", 0), "n_samples holds 0"),
        ("recordings", put("n_samples", 10**9), "'r3' reaches beyond the end"),
        ("recordings", put("n_samples", 2.5), "whole numbers"),
        ("recordings", put("offset", np.nan), "offset contains values other than whole numbers"),
        ("recordings", put("offset", -1), "offset holds -1"),
        ("recordings", put("offset", 299), "overlaps"),
        ("recordings", put("shard", 7), "shard 7 does not exist: there are 2 signal files"),
        ("recordings", put("shard", -1), "shard holds -1"),
        ("recordings", put("recording_id", "r0"), "'r0' occurs twice"),
        ("recordings", put("recording_id", None), "recording_id contains values other than text"),
        ("recordings", lambda t: t.assign(recording_id=range(4)), "recording_id contains values other than text"),
        ("recordings", put("participant_id", "nobody"), "'nobody' is in only one of this table"),
        ("recordings", lambda t: t.assign(start_time="noon"), "start_time"),
        ("recordings", lambda t: t.drop(columns="offset"), "no column offset"),
        ("recordings", lambda t: t.iloc[:0], "no rows"),
        ("recordings", lambda t: t.assign(extra=[[1]] * 4), "holds list"),
        ("participants", lambda t: t.iloc[:1], "'p1' is in only one of this table"),
        ("participants", lambda t: t.drop(columns="participant_id"), "no column participant_id"),
        ("segments", put("start_s", np.nan), "'r3' has a segment outside of it"),
        ("segments", put("end_s", np.inf), "'r3' has a segment outside of it"),
        ("segments", put("end_s", 90.0), "'r3' has a segment outside of it"),
        ("segments", put("recording_id", "r9"), "'r9' is not in recordings"),
        ("segments", lambda t: t.assign(start_s="0.5"), "start_s contains values other than seconds"),
        ("segments", lambda t: t.assign(label=5), "label contains values other than text"),
    ],
)
def test_a_table_that_no_store_has_is_refused(store, table, change, message):
    folder = edited(store, table, change)
    with pytest.raises(DataError, match=message) as error:
        CohortStore.open(folder)
    assert ".parquet" in str(error.value)
    assert "prepare the store again" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((600, 3)),
        np.zeros((600, 2), np.float32),
        np.zeros(1800, np.float32),
        np.asfortranarray(np.zeros((600, 3), np.float32)),
    ],
)
def test_a_signal_file_of_another_kind_is_refused(store, array):
    np.save(Path(store.path) / SHARDS[0], array)
    with pytest.raises(DataError, match=r"00000\.npy.*expected float32 triples"):
        CohortStore.open(sealed(Path(store.path), SHARDS[0]))


def test_a_header_that_promises_more_than_the_file_has_is_refused(store):
    file = Path(store.path) / SHARDS[0]
    file.write_bytes(file.read_bytes().replace(b"(600, 3), }          ", b"(6000000000000, 3), }"))
    with pytest.raises(DataError, match=r"00000\.npy.*expected float32 triples that fill the file"):
        CohortStore.open(sealed(Path(store.path), SHARDS[0]))


def bomb(path: Path, kind: str) -> None:
    if kind == "long texts":
        words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4000, np.int32)), pa.array(["x" * 2**20]))
        table = pa.table({"participant_id": words})
    else:
        words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2**27 + 1, np.int8)), pa.array([1.5]))
        table = pa.table({"participant_id": words.cast(pa.dictionary(pa.int8(), pa.float64()))})
    parquet.write_table(table, path, compression="zstd", use_dictionary=True)


@pytest.mark.parametrize("kind", ["long texts", "many rows"])
def test_a_small_table_that_unpacks_to_gigabytes_is_refused(store, kind):
    file = Path(store.path) / "participants.parquet"
    bomb(file, kind)
    assert file.stat().st_size < 2**20
    with pytest.raises(ValueError, match="unpacks to"):
        read_table(file.read_bytes())
    with pytest.raises(DataError, match=r"participants\.parquet is damaged \(it unpacks to"):
        CohortStore.open(sealed(Path(store.path), "participants.parquet"))


def streamed(path: Path) -> object:
    layout = Layout(columns=("x", "y", "z"), time_column=None, sampling_rate=50.0)
    return list(TableStream(path, layout).blocks())


def test_a_small_recording_that_unpacks_to_gigabytes_is_refused(tmp_path):
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4000, np.int32)), pa.array(["1" * 2**20]))
    still = pa.array(np.zeros(4000))
    parquet.write_table(pa.table({"x": words, "y": still, "z": still}), tmp_path / "bomb.parquet", compression="zstd")
    with pytest.raises(DataError, match=r"bomb\.parquet: it unpacks to 4000 MiB"):
        streamed(tmp_path / "bomb.parquet")


def test_texts_and_numbers_are_what_they_were(tmp_path):
    frame = pd.DataFrame({"t": ["a", None, "", "ä" * 300] * 50, "n": range(200), "x": [0.5, np.nan] * 100})
    frame.to_parquet(tmp_path / "table.parquet", index=False)
    pd.testing.assert_frame_equal(read_table((tmp_path / "table.parquet").read_bytes()), frame)


def test_a_flipped_bit_of_the_manifest_is_refused_or_changes_nothing(store):
    file, rng, refused = Path(store.path) / MANIFEST, random.Random(0), 0
    sound = file.read_bytes()
    for _ in range(100):
        damaged = bytearray(sound)
        damaged[rng.randrange(len(sound))] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            found = CohortStore.open(store.path)
        except DataError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            refused += 1
            continue
        assert (found.info, found.excluded) == (store.info, store.excluded)
        pd.testing.assert_frame_equal(found.recordings, store.recordings)
    assert refused > 80
