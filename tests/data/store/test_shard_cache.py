"""Copies of a bucket's signal files on disk: bounded, shared, never removed while they are read, safe to kill."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from relcon_lightning.data import CohortStore
from relcon_lightning.errors import ConfigError, DataError
from tests.conftest import INFO, recordings

pytest.importorskip("obstore", reason="the extra object-store is not installed")
from relcon_lightning.data.store import shard_cache
from relcon_lightning.data.store.bucket import Bucket
from relcon_lightning.data.store.shard_cache import ShardCache

SIZE = 1000


def writes(content: bytes, calls: list[str] | None = None, wait_s: float = 0.0) -> Callable[[BinaryIO], None]:
    def fetch(target: BinaryIO) -> None:
        if calls is not None:
            calls.append(threading.current_thread().name)
        time.sleep(wait_s)
        target.write(content)

    return fetch


def letter(name: str) -> bytes:
    return name.encode() * SIZE


def take(cache: ShardCache, name: str) -> BinaryIO | None:
    return cache.take(name, SIZE, writes(letter(name)))


def there(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.npy")}


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".npy", ".partial"))


def test_a_file_is_fetched_once_and_the_one_not_used_for_longest_goes(tmp_path):
    cache, calls = ShardCache(2 * SIZE + 10, tmp_path), list[str]()
    for name in ("a", "b", "a", "c", "a", "b"):  # c takes the place of b, and b that of c
        file = cache.take(name, SIZE, writes(letter(name), calls))
        assert file is not None
        file.close()
        assert (tmp_path / f"{name}.npy").read_bytes() == letter(name)
        assert used(tmp_path) <= cache.room_bytes
        time.sleep(0.02)  # the clock of files is coarse
    assert len(calls) == 4
    assert there(tmp_path) == {"a", "b"}


def test_what_is_read_stays_and_what_has_no_room_is_not_kept(tmp_path):
    cache = ShardCache(2 * SIZE, tmp_path)
    first, second = take(cache, "a"), take(cache, "b")
    assert take(cache, "c") is None
    assert there(tmp_path) == {"a", "b"}
    assert cache.take("large", 3 * SIZE, writes(b"")) is None
    assert first is not None
    assert second is not None
    second.close()
    third = take(cache, "c")
    assert third is not None
    assert there(tmp_path) == {"a", "c"}
    again = take(cache, "a")  # two hold it
    assert again is not None
    first.close()
    third.close()
    assert take(cache, "d") is not None
    assert there(tmp_path) == {"a", "d"}


def test_nothing_is_removed_for_a_file_that_finds_no_room_anyway(tmp_path):
    cache = ShardCache(3 * SIZE, tmp_path)
    held, free = take(cache, "a"), take(cache, "b")
    assert held is not None
    assert free is not None
    free.close()
    assert cache.take("large", 3 * SIZE, writes(b"")) is None
    assert there(tmp_path) == {"a", "b"}


def test_of_many_that_want_a_file_at_once_one_fetches_it(tmp_path):
    calls, found = list[str](), list[bytes]()

    def work() -> None:
        cache = ShardCache(3 * SIZE, tmp_path)
        for name in ("a", "b", "c", "d"):
            file = cache.take(name, SIZE, writes(letter(name), calls, wait_s=0.05))
            if file is not None:
                file.seek(0)
                found.append(file.read())
                file.close()
            assert used(tmp_path) <= 3 * SIZE

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {letter(name) for name in "abcd"}
    assert len(found) >= 12
    assert there(tmp_path) <= set("abcd")
    assert len(calls) < 16


def _die(cache: ShardCache, name: str) -> None:
    def fetch(target: BinaryIO) -> None:
        target.write(b"half")
        target.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    cache.take(name, SIZE, fetch)


@pytest.mark.parametrize("then", ["a", "b"])
def test_a_process_that_is_killed_while_it_fetches_leaves_nothing_in_the_way(tmp_path, then):
    cache = ShardCache(SIZE, tmp_path)
    process = multiprocessing.get_context("fork").Process(target=_die, args=(cache, "a"))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*.partial"))) == 1
    file = take(cache, then)
    assert file is not None
    assert (tmp_path / f"{then}.npy").read_bytes() == letter(then)
    assert not list(tmp_path.glob(".*.partial"))


def test_a_fetch_that_fails_leaves_nothing_and_a_full_disk_is_no_error(tmp_path, monkeypatch, caplog):
    cache = ShardCache(2 * SIZE, tmp_path)

    def broken(target: BinaryIO) -> None:
        raise DataError("gone")

    def full(target: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match="gone"):
        cache.take("a", SIZE, broken)
    assert cache.take("a", SIZE, full) is None
    assert used(tmp_path) == 0
    assert "No space left on device. Signals are read from the bucket" in caplog.text
    monkeypatch.setattr(shard_cache, "_allocate", lambda file, size: full(file))
    assert take(cache, "a") is None
    assert used(tmp_path) == 0


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CohortStore:
    """A store with four signal files, and an empty cache."""
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "cache"))
    return CohortStore.write(tmp_path / "toy", recordings({f"p{i}": [1000] for i in range(4)}), INFO, shard_samples=900)


def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fill in the objects that are read from now on."""
    names: list[str] = []
    chunks, ranges = Bucket.chunks, Bucket.ranges
    monkeypatch.setattr(Bucket, "chunks", lambda self, name: names.append(f"all of {name}") or chunks(self, name))
    monkeypatch.setattr(Bucket, "ranges", lambda self, name, *given: names.append(name) or ranges(self, name, *given))
    return names


def all_windows(store: CohortStore) -> np.ndarray:
    rows, starts = np.repeat(np.arange(4), 9), np.tile(np.arange(0, 900, 100), 4)
    return store.gather(rows, starts, 100)


SIGNALS = [f"signals/0000{i}.npy" for i in range(4)]


def test_windows_are_those_of_the_folder_and_a_second_process_fetches_nothing(cohort, tmp_path, monkeypatch):
    names = requests(monkeypatch)
    size = sum((tmp_path / "toy" / name).stat().st_size for name in SIGNALS)
    expected = all_windows(cohort)
    for _ in range(2):
        store = CohortStore.open(cohort.path.as_uri(), cache_gb=size / 1e9)
        np.testing.assert_array_equal(all_windows(store), expected)
    assert names == [f"all of {name}" for name in SIGNALS]
    assert used(tmp_path / "cache" / "signals") <= size


def test_what_finds_no_room_is_read_by_ranges(cohort, tmp_path, monkeypatch):
    names = requests(monkeypatch)
    size = (tmp_path / "toy" / SIGNALS[0]).stat().st_size
    store = CohortStore.open(cohort.path.as_uri(), cache_gb=2.5 * size / 1e9)
    np.testing.assert_array_equal(all_windows(store), all_windows(cohort))
    assert set(names) == {f"all of {name}" for name in SIGNALS[:2]} | set(SIGNALS[2:])
    del store  # of its files, those that are used again stay
    other = CohortStore.open(cohort.path.as_uri(), cache_gb=2.5 * size / 1e9)
    other.gather(np.array([3]), np.array([0]), 100)
    assert names[-1] == f"all of {SIGNALS[3]}"
    assert used(tmp_path / "cache" / "signals") <= 2.5 * size
    windows = np.array([0, 0]), np.array([950, 2000])
    with pytest.raises(DataError, match=r"00000\.npy is shorter than recordings\.parquet"):
        other._signals.windows(*windows, 100)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_checksums_are_compared_when_a_file_is_fetched_and_always_if_asked(cohort, tmp_path, monkeypatch):
    names, address = requests(monkeypatch), cohort.path.as_uri()
    first = np.array([0]), np.array([900]), 100
    right = cohort.gather(*first)
    kept = CohortStore.open(address, cache_gb=1)
    kept.gather(*first)
    [copy] = (tmp_path / "cache" / "signals").glob("*.npy")
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == cohort._files[SIGNALS[0]]["sha256"]
    flip(copy)
    assert not np.array_equal(CohortStore.open(address, cache_gb=1).gather(*first), right)  # it was compared once
    always = CohortStore.open(address, "always", cache_gb=1)
    names.clear()
    np.testing.assert_array_equal(always.gather(*first), right)
    assert names == [f"all of {SIGNALS[0]}"]
    flip(cohort.path / SIGNALS[1])
    second = np.array([1]), np.array([0]), 100
    with pytest.raises(DataError, match=r"file://.*00001\.npy was changed or damaged.*copy the store there again"):
        CohortStore.open(address, cache_gb=1).gather(*second)
    CohortStore.open(address, "never", cache_gb=1).gather(*second)


def test_a_cache_of_less_than_nothing_is_refused_and_a_folder_needs_none(cohort, monkeypatch):
    with pytest.raises(ConfigError, match=r"data\.cache_gb=-1: expected 0 or more"):
        CohortStore.open(cohort.path.as_uri(), cache_gb=-1)
    monkeypatch.setattr(shard_cache, "fcntl", None)
    CohortStore.open(cohort.path, cache_gb=1).gather(np.array([0]), np.array([0]), 10)
    with pytest.raises(ConfigError, match=r"data\.cache_gb=0"):
        CohortStore.open(cohort.path.as_uri(), cache_gb=1).gather(np.array([0]), np.array([0]), 10)
