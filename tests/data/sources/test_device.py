from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources import device
from relcon_lightning.data.sources.device import DeviceFolder
from relcon_lightning.errors import ConfigError, DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "device_samples"
actfast = pytest.importorskip("actfast", reason="the extra devices is not installed")
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no files at {REAL}")
START = 1581498217.48
NAMES = r"^[^/_.]+"


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def samples(seconds: float = 5.0, rate: float = 100.0, nominal: float = 100.0) -> dict[str, Any]:
    """What is in a file: a resting wrist with 1 g on z that counts seconds on x."""
    times = np.arange(round(seconds * rate)) / rate
    accel = np.stack([times / 1000, np.full(len(times), 0.1), np.ones(len(times))], 1)
    return {"time": times, "accel": accel, "nominal": nominal}


def as_read(content: dict[str, Any], kind: str = "Axivity CWA") -> dict[str, Any]:
    """In the form of actfast: within a block of 20 the stamps are a nominal step apart."""
    times = content["time"]
    starts = times[::20]
    stamps = (np.repeat(starts, 20)[: len(times)] + np.arange(len(times)) % 20 / content["nominal"]) * 1e9
    stamps = stamps.astype(np.int64) + round(START * 1e9)
    return {
        "format": kind,
        "metadata": {},
        "timeseries": {
            "low_frequency": {"datetime": stamps[::20], "temperature": np.zeros(len(starts))},
            "high_frequency": {"datetime": stamps, "acceleration": content["accel"].astype(np.float32)},
        },
        "warnings": [],
    }


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have actfast give what it is told to, and list what it was asked to read."""

    def install(content: dict[str, Any] | Exception, kind: str = "Axivity CWA") -> list[str]:
        asked: list[str] = []

        def read(path: Path, lenient: bool = False) -> dict[str, Any]:
            asked.append(Path(path).name)
            if isinstance(content, Exception):
                raise content
            return as_read(content, kind)

        monkeypatch.setattr(actfast, "read", read)
        return asked

    return install


def test_each_file_has_its_participant(tmp_path: Path, install: Callable) -> None:
    asked = install(samples())
    put(tmp_path, "anna/left.cwa", "bo_1.bin", "CARL.CWA")
    (tmp_path / "notes.txt").write_text("not read")
    found = list(DeviceFolder(tmp_path, NAMES).recordings())
    assert [(r.recording_id, r.participant_id) for r in found] == [
        ("CARL.CWA", "CARL"),
        ("anna/left.cwa", "anna"),
        ("bo_1.bin", "bo"),
    ]
    assert asked == ["CARL.CWA", "left.cwa", "bo_1.bin"]
    for recording in found:
        assert recording.sampling_rate == 100
        assert recording.start_time == pytest.approx(START)
        np.testing.assert_allclose(recording.signal, samples()["accel"], atol=1e-7)


def test_the_stamps_rule_and_not_the_nominal_rate(tmp_path: Path, install: Callable) -> None:
    install(samples(60, rate=196.72, nominal=200.0))
    source = DeviceFolder(put(tmp_path, "a.cwa"), NAMES)
    [recording] = source.recordings()
    assert recording.sampling_rate == source.info.sampling_rate == 200
    assert len(recording.signal) == pytest.approx(60 * 200, abs=2)
    np.testing.assert_allclose(recording.signal[:, 0] * 1000, np.arange(len(recording.signal)) / 200, atol=1e-5)


def test_gaps_part_the_recording(tmp_path: Path, install: Callable) -> None:
    content = samples(20)
    kept = np.r_[0:1200, 1500:2000]
    install({**content, "time": content["time"][kept], "accel": content["accel"][kept]})
    first, second = DeviceFolder(put(tmp_path, "a.cwa"), NAMES).recordings()
    assert [r.recording_id for r in (first, second)] == ["a.cwa#1", "a.cwa#2"]
    for recording, start, seconds in zip((first, second), (0, 15), (12, 5), strict=True):
        assert recording.start_time == pytest.approx(START + start, abs=1e-6)
        assert len(recording.signal) == pytest.approx(seconds * 100, abs=1)
        moments = start + np.arange(len(recording.signal)) / 100
        np.testing.assert_allclose(recording.signal[:, 0] * 1000, moments, atol=1e-5)


def test_a_long_recording_is_parted(tmp_path: Path, install: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "PART_S", 10)
    install(samples(25))
    parts = list(DeviceFolder(put(tmp_path, "a.cwa"), NAMES).recordings())
    assert [part.recording_id for part in parts] == ["a.cwa#1", "a.cwa#2", "a.cwa#3"]
    starts = [part.start_time - START for part in parts if part.start_time]
    assert starts == pytest.approx([0, 8.34, 16.67])
    for part, start in zip(parts, starts, strict=True):
        assert len(part.signal) == pytest.approx(833, abs=1)
        np.testing.assert_allclose(part.signal[:, 0] * 1000, start + np.arange(len(part.signal)) / 100, atol=1e-5)


@pytest.mark.parametrize("suffix", [".cwa", ".bin", ".gt3x"])
@pytest.mark.parametrize("content", [b"", b"hello world\n" * 1000, b"MD", b"Device Identity\r\n" * 9])
def test_a_foreign_file_is_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\{suffix} is damaged or no \{suffix} file .*lenient=true"):
        list(DeviceFolder(tmp_path, NAMES).recordings())


@pytest.mark.parametrize("error", [ValueError("bad block"), OSError("unreadable")])
def test_whatever_the_reader_raises_the_file_is_named(tmp_path: Path, install: Callable, error: Exception) -> None:
    install(error)
    with pytest.raises(DataError, match=rf"a\.cwa is damaged or no \.cwa file \({error}\)"):
        list(DeviceFolder(put(tmp_path, "a.cwa"), NAMES).recordings())


def test_a_file_without_samples_is_named(tmp_path: Path, install: Callable) -> None:
    install({key: value[:0] if np.ndim(value) else value for key, value in samples().items()})
    with pytest.raises(DataError, match=r"a\.cwa holds no samples of the acceleration"):
        list(DeviceFolder(put(tmp_path, "a.cwa"), NAMES).recordings())


def test_participants_are_refused_when_unclear(tmp_path: Path, install: Callable) -> None:
    install(samples())
    put(tmp_path, "p7/left.cwa")
    [recording] = DeviceFolder(tmp_path, r"p(\d+)/").recordings()
    assert recording.participant_id == "7"
    with pytest.raises(DataError, match=r"left\.cwa: data\.source\.participant=\^q\\d finds no participant"):
        DeviceFolder(tmp_path, r"^q\d")
    with pytest.raises(ConfigError, match=r"participant=\( is no regular expression"):
        DeviceFolder(tmp_path, "(")


def test_what_cannot_be_read_is_refused_before_anything_is_read(tmp_path: Path, install: Callable) -> None:
    install(samples())
    with pytest.raises(DataError, match=r"raw_dir must name the folder"):
        DeviceFolder(None, NAMES)
    with pytest.raises(DataError, match=r"no recordings: expected files that end in \.cwa, \.bin, \.gt3x"):
        DeviceFolder(tmp_path, NAMES)
    (tmp_path / "wrists").mkdir()
    with pytest.raises(DataError, match=r"There is no folder .*/wrist \(did you mean '.*/wrists'\?\)"):
        DeviceFolder(tmp_path / "wrist", NAMES)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "actfast", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"needs actfast .*pip install 'relcon-lightning\[devices\]'"):
        DeviceFolder(put(tmp_path, "a.cwa"), NAMES)


def test_the_files_become_a_store(tmp_path: Path, install: Callable) -> None:
    install(samples(60, rate=196.72, nominal=200.0))
    put(tmp_path / "raw", "anna_1.cwa", "bo_1.cwa")
    overrides = [
        "data=device",
        f"data.raw_dir={tmp_path / 'raw'}",
        "data.name=mine",
        "data.source.participant='[a-z]+'",
    ]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        data = compose("prepare", overrides).data
    store = prepare(instantiate(data.source), tmp_path / "store")
    assert (store.info.name, store.info.position, store.sampling_rate) == ("mine", "wrist", 100)
    assert store.participants["participant_id"].tolist() == ["anna", "bo"]
    assert store.recordings["n_samples"].tolist() == pytest.approx([6000] * 2, abs=2)
    [signal] = store.gather(np.array([1]), np.array([3000]), 100)
    np.testing.assert_allclose(signal[0] * 1000, 30 + np.arange(100) / 100, atol=0.01)


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
