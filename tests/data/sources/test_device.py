"""Folders of devices' files: participants, stretches, missing samples and the store they become."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import os
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.readers.device_files import device_file
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.sources import device
from relcon_lightning.data.sources.device import DeviceFolder
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.errors import ConfigError, DataError
from tests.data.readers.devices import START, archive, cwa, geneactiv, gt3x

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "device_samples"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no files at {REAL}")
NAMES = r"^[^/_.]+"
SCALE = 32768  # counts per g
LAYOUT = Layout(time_column="time")


def put(root: Path, *names: str, content: bytes = b"") -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def resting(times: np.ndarray) -> np.ndarray:
    """A resting wrist with 0.9 g on z; a count on x is 10 ms."""
    return np.stack([np.round(times * 100) / SCALE, np.full(len(times), 0.1), np.full(len(times), 0.9)], 1)


def seconds_in(signal: np.ndarray) -> np.ndarray:
    """What a resting wrist counts."""
    return signal[:, 0] * SCALE / 100


def sample(seconds: float = 5.0, rate: float = 100.0, nominal: int = 100) -> bytes:
    """An Axivity file."""
    times = np.arange(round(seconds * rate)) / rate
    signal = resting(times)
    signal[:, 0] = np.arange(len(times)) / SCALE
    return cwa(times, signal, nominal)


def streamed(path: Path, **options: object) -> tuple[np.ndarray, np.ndarray, float]:
    """What ``relcon-embed`` reads: times, signal and the start."""
    [found] = find_inputs(path, LAYOUT, **options)
    opened = found.open()
    blocks = list(opened.blocks)
    assert opened.start_time is not None
    return (
        np.concatenate([block.times for block in blocks]),
        np.concatenate([block.signal for block in blocks]),
        opened.start_time,
    )


def test_each_file_has_its_participant(tmp_path: Path) -> None:
    put(tmp_path, "anna/left.cwa", "bo_1.bin", "CARL.CWA", content=sample())  # the content tells the device
    (tmp_path / "notes.txt").write_text("not read")
    found = list(DeviceFolder(tmp_path, NAMES).recordings())
    assert [(r.recording_id, r.participant_id) for r in found] == [
        ("CARL.CWA", "CARL"),
        ("anna/left.cwa", "anna"),
        ("bo_1.bin", "bo"),
    ]
    for recording in found:
        assert recording.sampling_rate == 100
        assert recording.start_time == pytest.approx(START)
        np.testing.assert_allclose(seconds_in(recording.signal), np.arange(len(recording.signal)) / 100, atol=1e-4)


def test_the_stamps_rule_and_not_the_nominal_rate(tmp_path: Path) -> None:
    put(tmp_path, "a.cwa", content=sample(60, 196.72, 200))
    source = DeviceFolder(tmp_path, NAMES)
    [recording] = source.recordings()
    assert recording.sampling_rate == source.info.sampling_rate == 200
    assert len(recording.signal) == pytest.approx(60 * 200, abs=2)
    counts = recording.signal[:, 0] * SCALE
    np.testing.assert_allclose(counts / 196.72, np.arange(len(counts)) / 200, atol=2e-4)


def test_gaps_part_the_recording(tmp_path: Path) -> None:
    times = np.arange(2000) / 100
    times = times[np.r_[0:1200, 1520:2000]]  # whole blocks of 80 samples
    put(tmp_path, "a.cwa", content=cwa(times, resting(times)))
    first, second = DeviceFolder(tmp_path, NAMES).recordings()
    assert [r.recording_id for r in (first, second)] == ["a.cwa#1", "a.cwa#2"]
    for recording, start, seconds in zip((first, second), (0, 15.2), (12, 4.8), strict=True):
        assert recording.start_time == pytest.approx(START + start, abs=1e-4)
        assert len(recording.signal) == pytest.approx(seconds * 100, abs=1)
        moments = start + np.arange(len(recording.signal)) / 100
        np.testing.assert_allclose(seconds_in(recording.signal), moments, atol=1e-3)


def test_a_long_recording_is_parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "PART_S", 10)
    put(tmp_path, "a.cwa", content=sample(25))
    parts = list(DeviceFolder(tmp_path, NAMES).recordings())
    assert [part.recording_id for part in parts] == ["a.cwa#1", "a.cwa#2", "a.cwa#3"]
    assert [part.start_time - START for part in parts if part.start_time] == pytest.approx([0, 10, 20], abs=1e-4)
    assert [len(part.signal) for part in parts] == pytest.approx([1000, 1000, 500], abs=1)
    for part, start in zip(parts, (0, 10, 20), strict=True):
        np.testing.assert_allclose(seconds_in(part.signal), start + np.arange(len(part.signal)) / 100, atol=1e-3)


def zstd(content: bytes) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
    return bytes(buffer.getvalue().to_pybytes())


PACKED = {
    ".zip": lambda content: archive(recording=content),
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstd,
}
KINDS = {
    ".cwa": sample(),
    ".bin": geneactiv([np.tile([10, 20, 250], (300, 1))] * 2),
    ".gt3x": gt3x(5),
}


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_file_of_a_device_is_read_by_both_commands(tmp_path, kind, compression):
    put(tmp_path, f"plain{kind}", content=KINDS[kind])
    name = f"P1{kind}{compression}" if kind == ".cwa" else f"P1{kind}{compression}".upper()
    put(tmp_path / "packed", name, content=PACKED[compression](KINDS[kind]))
    [prepared] = DeviceFolder(tmp_path / "packed", NAMES).recordings()
    assert (prepared.recording_id, prepared.participant_id) == (name, "P1")
    times, signal, start = streamed(tmp_path / "packed")
    plain = streamed(tmp_path / f"plain{kind}")
    np.testing.assert_array_equal(times, plain[0])
    np.testing.assert_array_equal(signal, plain[1])
    assert start == plain[2] == pytest.approx(prepared.start_time)


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_file_that_was_cut_short_is_named(tmp_path, kind, compression):
    packed = PACKED[compression](KINDS[kind])
    put(tmp_path, f"a{kind}{compression}", content=packed[: len(packed) * 3 // 4])
    with pytest.raises(DataError, match=rf"a\{kind}\{compression} is damaged"):
        list(DeviceFolder(tmp_path, NAMES).recordings())


def test_what_can_be_unpacked_is_read_when_asked(tmp_path, caplog):
    rng = np.random.default_rng(0)
    times = np.arange(40_000) / 100
    content = gzip.compress(cwa(times, resting(times) + rng.normal(0, 0.01, (40_000, 3))))
    put(tmp_path, "a.cwa.gz", content=content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        _, signal, _ = streamed(tmp_path, lenient=True)
    assert 15_000 < len(signal) < 25_000
    assert "everything after the first byte that cannot be unpacked" in caplog.text


def test_an_archive_that_is_too_large_unpacked_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(device_file, "MAX_BYTES", 1000)
    put(tmp_path, "a.gt3x.gz", content=gzip.compress(gt3x(60)))
    with pytest.raises(DataError, match=r"a\.gt3x\.gz holds more than .* once unpacked"):
        list(DeviceFolder(tmp_path, NAMES).recordings())


def asleep(rows: int, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and the signal of a device that gives zeros from the first row to the end."""
    times = np.arange(rows) / 100
    signal = resting(times)
    signal[first:end] = 0
    return times, signal


def test_zeros_of_a_sleeping_device_are_a_gap_and_are_named(tmp_path, caplog):
    put(tmp_path, "a.cwa", content=cwa(*asleep(3000, 1000, 2500)))
    with caplog.at_level(logging.WARNING):
        first, second = DeviceFolder(tmp_path, NAMES).recordings()
    assert (len(first.signal), len(second.signal)) == pytest.approx((1000, 500), abs=1)  # stamps are rounded
    assert second.start_time == pytest.approx(START + 25, abs=1e-3)
    assert "a.cwa: 1500 of 3000 rows (50 %) are 0,0,0" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        times, signal, _ = streamed(tmp_path / "a.cwa")
    assert len(signal) == 1500
    assert np.diff(times).max() == pytest.approx(15.01, abs=1e-3)
    assert caplog.text.count("1500 of 3000 rows (50 %)") == 1


def test_a_recording_that_begins_asleep_starts_with_its_first_sample(tmp_path):
    put(tmp_path, "a.cwa", content=cwa(*asleep(3000, 0, 1000)))
    [recording] = DeviceFolder(tmp_path, NAMES).recordings()
    assert recording.start_time == pytest.approx(START + 10, abs=1e-3)
    times, _, start = streamed(tmp_path / "a.cwa")
    assert start + times[0] == pytest.approx(START + 10, abs=1e-3)


def test_a_recording_of_zeros_alone_is_refused(tmp_path):
    put(tmp_path, "a.cwa", content=cwa(*asleep(1000, 0, 1000)))
    for read in (lambda: list(DeviceFolder(tmp_path, NAMES).recordings()), lambda: streamed(tmp_path)):
        with pytest.raises(DataError, match=r"a\.cwa contains no acceleration samples but zeros"):
            read()


def test_windows_cross_the_edges_of_blocks_and_of_parts_of_six_hours(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "PART_S", 10)
    put(tmp_path, "a.cwa", content=sample(30))
    times, signal, _ = streamed(tmp_path / "a.cwa")
    assert len(signal) == 3000
    np.testing.assert_allclose(times, np.arange(3000) / 100, atol=1e-4)


def test_another_unit_is_refused_by_both_commands(tmp_path):
    times = np.arange(1000) / 100
    put(tmp_path, "a.cwa", content=cwa(times, resting(times) / 10))
    with pytest.raises(DataError, match=r"a\.cwa: median norm 0\.09"):
        streamed(tmp_path)
    with pytest.raises(DataError, match=r"a\.cwa.*: median norm 0\.09"):
        prepare(DeviceFolder(tmp_path, NAMES), tmp_path / "store")


def test_a_file_without_samples_is_named(tmp_path: Path) -> None:
    put(tmp_path, "a.cwa", content=sample()[:1024])
    with pytest.raises(DataError, match=r"a\.cwa is damaged: it has no block of samples"):
        list(DeviceFolder(tmp_path, NAMES).recordings())
    put(tmp_path, "a.cwa", content=geneactiv([]))
    with pytest.raises(DataError, match=r"a\.cwa contains no acceleration samples"):
        list(DeviceFolder(tmp_path, NAMES).recordings())


def test_participants_are_refused_when_unclear(tmp_path: Path) -> None:
    put(tmp_path, "p7/left.cwa", content=sample())
    [recording] = DeviceFolder(tmp_path, r"p(\d+)/").recordings()
    assert recording.participant_id == "7"
    with pytest.raises(DataError, match=r"left\.cwa: data\.source\.participant=\^q\\d finds no participant"):
        DeviceFolder(tmp_path, r"^q\d")
    with pytest.raises(ConfigError, match=r"participant=\( is not a regular expression"):
        DeviceFolder(tmp_path, "(")


def test_what_cannot_be_read_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"raw_dir must name the folder"):
        DeviceFolder(None, NAMES)
    with pytest.raises(DataError, match=r"no recordings: expected files that end in \.cwa, \.bin, \.gt3x"):
        DeviceFolder(tmp_path, NAMES)
    (tmp_path / "wrists").mkdir()
    with pytest.raises(DataError, match=r"There is no folder .*/wrist \(did you mean '.*/wrists'\?\)"):
        DeviceFolder(tmp_path / "wrist", NAMES)


def test_the_files_become_a_store(tmp_path: Path) -> None:
    put(tmp_path / "raw", "anna_1.cwa", "bo_1.cwa", content=sample(60, 196.72, 200))
    overrides = [
        "data=device",
        f"data.raw_dir={tmp_path / 'raw'}",
        "data.name=mine",
        "data.source.participant='[a-z]+'",
        "data.source.time_zone=Europe/Berlin",
    ]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        data = compose("prepare", overrides).data
    store = prepare(instantiate(data.source), tmp_path / "store")
    assert (store.info.name, store.info.position, store.sampling_rate) == ("mine", "wrist", 100)
    assert store.participants["participant_id"].tolist() == ["anna", "bo"]
    assert store.recordings["n_samples"].tolist() == pytest.approx([6000] * 2, abs=2)
    assert store.recordings["start_time"].tolist() == pytest.approx([START - 3600] * 2)
    [signal] = store.gather(np.array([1]), np.array([3000]), 100)
    np.testing.assert_allclose(signal[0] * SCALE / 196.72, 30 + np.arange(100) / 100, atol=0.01)


@real
@pytest.mark.parametrize(
    ("name", "sample", "rate", "norm"),
    [("ax3_sample.cwa", "ax3", 200, 1.037), ("gnactv_sample.bin", "gnactv", 50, 1.003)],
)
def test_real_files_against_what_was_read_from_them_elsewhere(name: str, sample: str, rate: float, norm: float) -> None:
    recordings = {r.recording_id: r for r in DeviceFolder(REAL, r"([a-z0-9]+)_sample").recordings()}
    recording = recordings[name]
    with np.load(REAL / f"{sample}_data.npz", allow_pickle=False) as reference:
        times, accel = reference["time"] - reference["time"][0], reference["accel"]
    assert (recording.participant_id, recording.sampling_rate) == (sample, rate)
    grid = np.arange(len(recording.signal)) / rate
    assert grid[-1] == pytest.approx(times[-1], abs=2 / rate)
    # A block has one stamp, and readers spread its samples differently: up to 14 ms apart in the reference.
    for ours, axis in zip(recording.signal.T, accel.T, strict=True):
        shifted = [np.interp(grid + shift, times, axis) for shift in np.linspace(-0.015, 0.015, 13)]
        assert max(np.corrcoef(ours, one)[0, 1] for one in shifted) > 0.99
    assert np.median(np.linalg.norm(recording.signal, axis=1)) == pytest.approx(norm, abs=0.01)


@real
def test_a_real_file_with_bad_blocks_is_named_and_read_around_when_asked(tmp_path: Path) -> None:
    content = bytearray((REAL / "ax3_sample.cwa").read_bytes())
    for block in range(100, 110):  # of 120 samples, 6 s in all
        content[1024 + block * 512 + 200] ^= 0xFF
    (tmp_path / "a.cwa").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.cwa is damaged"):
        list(DeviceFolder(tmp_path, NAMES).recordings())
    first, second = DeviceFolder(tmp_path, NAMES, lenient=True).recordings()
    assert len(first.signal) == pytest.approx(100 * 120 * 200 / 196.72, rel=0.01)
    assert first.start_time is not None
    assert second.start_time is not None
    assert second.start_time - first.start_time == pytest.approx(110 * 120 / 196.72, rel=0.01)


@real
@pytest.mark.parametrize(("name", "keep"), [("ax3_sample.cwa", 1024), ("gnactv_sample.bin", 1024)])
def test_a_real_truncated_file_is_named(tmp_path: Path, name: str, keep: int) -> None:
    (tmp_path / name).write_bytes((REAL / name).read_bytes()[:keep])
    with pytest.raises(DataError, match=name):
        list(DeviceFolder(tmp_path, NAMES).recordings())


def of_hours(hours: int) -> bytes:
    """A GENEActiv file with pages of 6 s that differ in their times alone."""
    rest = np.random.default_rng(0).normal([10, 20, 250], 5, (300, 3)).round().astype(int)
    head, page = geneactiv([rest], zone="GMT +00:00").split(b"Recorded Data")
    first = np.datetime64(START, "s")
    times = [str(first + 6 * i).replace("T", " ").encode() + b":000" for i in range(600 * hours)]
    before, after = page.split(b"2020-02-12 09:03:37:000")
    return head + b"".join(b"Recorded Data" + before + time + after for time in times)


def peak_of(read: Callable[[], int]) -> tuple[int, int]:
    """What a function returns, and the bytes that it held at most."""
    tracemalloc.start()
    try:
        result = read()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def embedded(folder: Path) -> int:
    """How many samples ``relcon-embed`` reads."""
    return sum(len(block.times) for block in find_inputs(folder, LAYOUT)[0].open().blocks)


def prepared(folder: Path) -> int:
    """How many samples ``relcon-prepare`` reads."""
    return sum(len(part.signal) for part in DeviceFolder(folder, ".").recordings())


@pytest.mark.parametrize("suffix", [".bin", ".bin.gz"])
@pytest.mark.parametrize("read", [embedded, prepared])
def test_the_memory_does_not_depend_on_the_length(tmp_path, read, suffix, monkeypatch):
    monkeypatch.setattr(device, "PART_S", 600)
    peaks = []
    for hours in (1, 4):
        content = of_hours(hours)
        content = gzip.compress(content, 1) if suffix == ".bin.gz" else content
        folder = put(tmp_path / str(hours), f"a{suffix}", content=content)
        rows, peak = peak_of(partial(read, folder))
        assert rows == pytest.approx(hours * 3600 * 50, abs=hours * 6)
        peaks.append(peak)
    assert peaks[1] < 1.2 * peaks[0]


def test_a_pattern_chooses_the_files_and_hidden_ones_are_left_out(tmp_path):
    put(tmp_path, "p1/wrist.cwa", "p1/hip.cwa", "p2/wrist.cwa", content=sample())
    put(tmp_path, "p1/._wrist.cwa", ".trash/wrist.cwa", content=b"no recording")  # macOS writes such files
    for pattern, expected in (
        (None, ["p1/hip.cwa", "p1/wrist.cwa", "p2/wrist.cwa"]),
        ("wrist.cwa", ["p1/wrist.cwa", "p2/wrist.cwa"]),
        ("p1/*.cwa", ["p1/hip.cwa", "p1/wrist.cwa"]),
    ):
        found = DeviceFolder(tmp_path, "p[0-9]", files=pattern).recordings()
        assert [recording.recording_id for recording in found] == expected
        assert [one.recording_id for one in find_inputs(tmp_path, LAYOUT, pattern=pattern)] == expected
    with pytest.raises(DataError, match=r"no recordings that match data\.source\.files=x\.cwa"):
        DeviceFolder(tmp_path, "p[0-9]", files="x.cwa")


def test_a_recording_that_is_there_twice_is_refused(tmp_path):
    put(tmp_path, "P1.cwa", content=sample())
    put(tmp_path, "P1.cwa.gz", content=gzip.compress(sample()))
    for find in (lambda: DeviceFolder(tmp_path, NAMES), lambda: find_inputs(tmp_path, LAYOUT)):
        with pytest.raises(DataError, match=r"P1\.cwa and .*P1\.cwa\.gz are the same recording"):
            find()


def test_pauses_are_named_with_their_share(tmp_path, caplog):
    put(tmp_path, "a.gt3x", content=gt3x(60, drop=tuple(range(10, 25))))
    with caplog.at_level(logging.INFO):
        list(DeviceFolder(tmp_path, NAMES).recordings())
    assert "a.gt3x: pauses without samples, such as idle sleep: 1, in all 25.1 % of the time" in caplog.text


def test_the_rate_is_that_of_the_first_file_that_can_be_read(tmp_path):
    put(tmp_path, "a.cwa", content=b"no recording")
    put(tmp_path, "b.cwa", content=sample(5, 200, 200))
    assert DeviceFolder(tmp_path, NAMES).info.sampling_rate == 200


def test_the_expected_duration_is_told_for_a_progress_bar(tmp_path):
    ends = (START + 5 + 62_135_596_800) * 10**7
    for name, content, expected in (
        ("a.cwa", sample(48), 48),
        ("a.bin", KINDS[".bin"], 12),
        ("a.gt3x", gt3x(5, Last_Sample_Time=ends), 5),
        ("b.gt3x", gt3x(5, Last_Sample_Time=0), None),
        ("a.cwa.gz", gzip.compress(sample()), None),
    ):
        put(tmp_path, name, content=content)
        [found] = find_inputs(tmp_path / name, LAYOUT)
        assert found.open().duration_s == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("name", "hint"), [("a.cwa", "data=device"), ("a.csv", "data=folder")])
def test_the_source_for_the_other_kind_of_files_is_named(tmp_path, name, hint):
    put(tmp_path, name)
    with pytest.raises(DataError, match=f"has no recordings: .* are read with {hint}"):
        RecordingFolder(tmp_path, participant=".") if hint == "data=device" else DeviceFolder(tmp_path, ".")


def test_an_archive_of_several_files_is_named(tmp_path):
    put(tmp_path, "a.cwa.zip", content=archive(a_cwa=sample(), b_cwa=sample()))
    [found] = find_inputs(tmp_path, LAYOUT)
    with pytest.raises(DataError, match=r"a\.cwa\.zip is a zip archive of 2 files, not of one"):
        found.open()
