"""The same store in a folder and behind an address: obstore's file:// everywhere, an S3 server of the test's own."""

from __future__ import annotations

import builtins
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from relcon_lightning.data import CohortStore
from relcon_lightning.data.datamodule import CandidateBatches
from relcon_lightning.data.sampling import CandidateSampler
from relcon_lightning.errors import DataError

obstore = pytest.importorskip("obstore", reason="the extra object-store is not installed")
from relcon_lightning.data.store import bucket as object_store  # noqa: E402 - it imports obstore
from relcon_lightning.data.store.bucket import Bucket, RangedSignals  # noqa: E402

FILES = ["signals/00000.npy", "recordings.parquet", "segments.parquet", "participants.parquet"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Endpoint of an S3 server on this machine."""
    pytest.importorskip("moto", reason="no S3 server to test against: moto[server] is not installed")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server in the environment, and an empty bucket."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3", region_name="us-east-1").Bucket("cohorts")
    bucket.create()
    bucket.objects.delete()
    return "s3://cohorts/studies/toy"


@pytest.fixture
def local(make_store) -> CohortStore:
    """Recordings longer and shorter than a block."""
    return make_store({"p0": [3000, 500], "p1": [1024, 2047], "p2": [700] * 3})


@pytest.fixture(params=["file", "s3"])
def address(request: pytest.FixtureRequest, local: CohortStore) -> str:
    """Of a copy of ``local``."""
    if request.param == "file":
        return local.path.as_uri()
    address = request.getfixturevalue("s3")
    client = obstore.store.from_url(address)
    for file in filter(Path.is_file, local.path.rglob("*")):
        obstore.put(client, file.relative_to(local.path).as_posix(), file.read_bytes())
    return address


def shorten(address: str, name: str, by: int) -> None:
    client = obstore.store.from_url(address)
    obstore.put(client, name, bytes(obstore.get(client, name).bytes())[:-by])


def remove(address: str, name: str) -> None:
    obstore.delete(obstore.store.from_url(address), name)


def test_a_bucket_gives_what_the_folder_gives(address, local):
    remote = CohortStore.open(address)
    assert remote.path == address
    assert remote.info == local.info
    for table in ("participants", "recordings", "segments"):
        assert getattr(remote, table).equals(getattr(local, table))
    remote.verify()
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(local.recordings), 200)
    starts = rng.integers(0, local.recordings["n_samples"].to_numpy()[rows] - 256 + 1)
    for reader in (remote, pickle.loads(pickle.dumps(remote))):
        windows = reader.gather(rows, starts, 256)
        assert windows.flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(windows, local.gather(rows, starts, 256))
    for name, n in zip(local.recordings["recording_id"], local.recordings["n_samples"], strict=True):
        np.testing.assert_array_equal(remote.read(name, 0, n), local.read(name, 0, n))
    assert remote.read("p0-0", 5, 5).shape == (0, 3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_of_any_block_size_and_cache_is_read_right(tmp_path_factory, monkeypatch, data):
    lengths = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=4))
    monkeypatch.setattr(object_store, "BLOCK_SAMPLES", data.draw(st.integers(1, 40)))
    folder, sizes = tmp_path_factory.mktemp("signals"), {}
    arrays = [np.arange(3 * n, dtype=np.float32).reshape(n, 3) + 1000 * i for i, n in enumerate(lengths)]
    for i, array in enumerate(arrays):
        np.save(folder / f"{i}.npy", array)
        sizes[f"{i}.npy"] = (folder / f"{i}.npy").stat().st_size
    signals = RangedSignals(Bucket(folder.as_uri()), sizes, cache_bytes=data.draw(st.integers(0, 2000)))
    for _ in range(2):
        length = data.draw(st.integers(0, min(lengths)))
        shards = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
        begins = [data.draw(st.integers(0, lengths[shard] - length)) for shard in shards]
        windows = signals.windows(np.array(shards, dtype=int), np.array(begins, dtype=int), length)
        assert windows.shape == (len(shards), 3, length)
        for window, shard, begin in zip(windows, shards, begins, strict=True):
            np.testing.assert_array_equal(window.T, arrays[shard][begin : begin + length])


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fill in the number of blocks of each request from now on."""
    calls: list[int] = []
    ranges: Callable[..., list[bytes]] = Bucket.ranges

    def count(self: Bucket, name: str, starts: list[int], ends: list[int]) -> list[bytes]:
        calls.append(len(starts))
        return ranges(self, name, starts, ends)

    monkeypatch.setattr(Bucket, "ranges", count)
    return calls


def test_blocks_are_fetched_once_while_there_is_room(local, monkeypatch):
    place = Bucket(local.path.as_uri())
    name = "signals/00000.npy"
    signals = RangedSignals(place, {name: place.sizes()[name]}, cache_bytes=2 * 12 * object_store.BLOCK_SAMPLES)
    calls = counted(monkeypatch)
    first, second, third = (np.array([block * object_store.BLOCK_SAMPLES]) for block in range(3))
    shard = np.array([0])
    for begin in (first, second, first):
        signals.windows(shard, begin, 10)
    assert calls == [1, 1]
    signals.windows(shard, third, 10)  # takes the room of the second, the one that was not used for longest
    signals.windows(shard, first, 10)
    assert calls == [1, 1, 1]
    signals.windows(shard, second, 10)
    assert calls == [1, 1, 1, 1]


def test_opening_reads_no_signals(local, monkeypatch):
    calls = counted(monkeypatch)
    store = CohortStore.open(local.path.as_uri())
    assert calls == []
    store.gather(np.array([0, 0]), np.array([0, 5]), 10)
    assert calls == [1]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_truncated_object_is_named_when_the_store_is_opened(address, name):
    shorten(address, name, by=7)
    with pytest.raises(DataError, match=f"{address}/{name} has .* expected .*copy the store there again"):
        CohortStore.open(address)
    remove(address, name)
    with pytest.raises(DataError, match=f"{address}/{name} is missing"):
        CohortStore.open(address)


def test_an_object_that_changes_after_opening_is_named(address):
    store = CohortStore.open(address)
    shorten(address, FILES[0], by=12)
    last = int(store.recordings["offset"].argmax())
    window = np.array([last]), np.array([store.recordings["n_samples"][last] - 10]), 10
    with pytest.raises(DataError, match=f"{address}/{FILES[0]}.*"):
        store.gather(*window)
    remove(address, FILES[0])
    with pytest.raises(DataError, match=f"{address}/{FILES[0]} is missing"):
        store.gather(*window)


def test_a_changed_sample_is_found_by_verify(address):
    client = obstore.store.from_url(address)
    content = bytearray(obstore.get(client, FILES[0]).bytes())
    content[-1] ^= 1
    obstore.put(client, FILES[0], bytes(content))
    with pytest.raises(DataError, match=f"{address}/{FILES[0]} was changed"):
        CohortStore.open(address).verify()


def test_a_recording_that_the_object_is_too_short_for_is_refused(local):
    place = Bucket(local.path.as_uri())
    signals = RangedSignals(place, {FILES[0]: place.sizes()[FILES[0]]})
    samples = int((local.recordings["offset"] + local.recordings["n_samples"]).max())
    with pytest.raises(DataError, match=r"00000\.npy is shorter than recordings\.parquet"):
        signals.windows(np.array([0]), np.array([samples - 5]), 6)


def test_an_empty_address_and_a_wrong_scheme_are_named(tmp_path):
    with pytest.raises(DataError, match=r"file://.*/elsewhere cannot be read"):
        CohortStore.open((tmp_path / "elsewhere").as_uri())
    with pytest.raises(DataError, match="ftps://host/toy cannot be read"):
        CohortStore.open("ftps://host/toy")


def test_a_wrong_bucket_is_named_with_what_the_server_says(s3):
    with pytest.raises(DataError, match=r"s3://elsewhere/toy.*NoSuchBucket"):
        CohortStore.open("s3://elsewhere/toy")
    with pytest.raises(DataError, match=f"no cohort store at {s3}"):
        CohortStore.open(s3)


def test_missing_and_wrong_credentials_are_named(s3, monkeypatch):
    from moto.core import set_initial_no_auth_action_count

    @set_initial_no_auth_action_count(0)
    def refused() -> None:
        with pytest.raises(DataError, match=f"{s3}.*InvalidAccessKeyId.*AWS_ACCESS_KEY_ID"):
            CohortStore.open(s3)

    refused()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")  # where a machine in the cloud has its own
    with pytest.raises(DataError, match=f"{s3}.*AWS_ACCESS_KEY_ID"):
        CohortStore.open(s3)


def test_a_server_that_does_not_answer_is_named_soon(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DataError, match=f"{s3}.*the server does not answer.*127.0.0.1:1.*AWS_ENDPOINT_URL") as error:
        CohortStore.open(s3)
    assert "\n" not in str(error.value)


def test_the_cache_on_disk_gives_what_the_folder_gives(address, local, tmp_path, monkeypatch):
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "cache"))
    rows = np.arange(len(local.recordings))
    for verify in ("once", "always", "never"):
        store = pickle.loads(pickle.dumps(CohortStore.open(address, verify, cache_gb=1)))
        np.testing.assert_array_equal(store.gather(rows, 0 * rows, 256), local.gather(rows, 0 * rows, 256))
    assert len(list((tmp_path / "cache" / "signals").glob("*.npy"))) == 1
    remove(address, FILES[0])
    [copy] = (tmp_path / "cache" / "signals").glob("*.npy")
    copy.unlink()
    del store
    with pytest.raises(DataError, match=f"{address}/{FILES[0]} is missing"):
        CohortStore.open(address, cache_gb=1)


def test_without_obstore_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name == "relcon_lightning.data.store.bucket":
            raise ModuleNotFoundError("No module named 'obstore'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(DataError, match=r"s3://bucket/toy.*relcon-lightning\[object-store\]"):
        CohortStore.open("s3://bucket/toy")


def test_workers_started_as_the_store_asks_give_the_same_batches(address, local):
    def batches(store: CohortStore, workers: int) -> list[torch.Tensor]:
        sampler = CandidateSampler(store.recordings, ("p0", "p1"), 128, 3, batch_size=4)
        context = store.start_method if workers else None
        loader = DataLoader(
            CandidateBatches(store, sampler, 0, 1),
            batch_size=None,
            sampler=range(3),
            num_workers=workers,
            multiprocessing_context=context,
        )
        return [batch["candidates"] for batch in loader]

    for ours, theirs in zip(batches(CohortStore.open(address), 1), batches(local, 0), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def _gather_first(store: CohortStore) -> np.ndarray:
    return store.gather(np.array([0]), np.array([0]), 10)


def test_a_forked_process_is_told_so_and_does_not_hang(address):
    store = CohortStore.open(address)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        asked = pool.submit(_gather_first, store)
        with pytest.raises(DataError, match=f"{address}.*spawn"):
            asked.result(timeout=60)
    assert _gather_first(store).shape == (1, 3, 10)


def test_signals_behind_an_address_are_compared_when_it_is_asked_for(local):
    address = local.path.as_uri()
    CohortStore.open(address, "always")
    file = local.path / "signals/00000.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    CohortStore.open(address)  # comparing is fetching
    with pytest.raises(DataError, match=r"file://.*00000\.npy was changed or damaged.*copy the store there again"):
        CohortStore.open(address, "always")
