"""Whole device files: ActiGraph archives written after the format's description, and files that were changed."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from functools import reduce
from operator import xor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relcon_lightning.data.sources.device import DeviceFolder
from relcon_lightning.errors import DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "device_samples"
NAMES = r"^[^/_.]+"
pytest.importorskip("actfast", reason="the extra devices is not installed")


def gt3x(seconds: int, rate: int = 30, drop: tuple[int, ...] = ()) -> bytes:
    """An ActiGraph archive as https://github.com/actigraph/GT3X-File-Format describes it.

    ``log.bin`` has a record of parameters and one of activity a second: samples of 12 bits in the order y, x, z.
    """
    first = 1581498217

    def record(kind: int, second: int, payload: bytes) -> bytes:
        content = struct.pack("<BBIH", 0x1E, kind, first + second, len(payload)) + payload
        return content + bytes([~reduce(xor, content) & 0xFF])

    scale = 9 << 24 | 0x400000  # 256 counts a g, as exponent and significand: 0.5 * 2 ** 9
    log = record(21, 0, struct.pack("<HHIHHI", 1, 10, rate, 0, 55, scale))
    for second in range(seconds):
        if second in drop:
            continue
        at = second + np.arange(rate) / rate
        counts = np.stack([25.6 + 0 * at, at, 256 + 0 * at], 1).round().astype(">i2")  # a count on x is a second
        bits = np.unpackbits(counts.reshape(-1, 1).view(np.uint8), axis=1)[:, 4:]
        log += record(0, second, np.packbits(bits).tobytes())
    info = {
        "Serial Number": "MOS2D12345678",
        "Start Date": (first + 62135596800) * 10**7,
        "Last Sample Time": (first + seconds + 62135596800) * 10**7,
        "Sample Rate": rate,
        "Acceleration Scale": "256.0",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.bin", log)
        archive.writestr("info.txt", "".join(f"{name}: {value}\r\n" for name, value in info.items()))
    return buffer.getvalue()


def test_an_actigraph_archive_is_read_and_parted_at_its_gap(tmp_path: Path) -> None:
    (tmp_path / "anna_1.gt3x").write_bytes(gt3x(60, drop=(20, 21, 22)))
    first, second = DeviceFolder(tmp_path, NAMES).recordings()
    assert (first.participant_id, first.sampling_rate) == ("anna", 30)
    assert first.start_time == pytest.approx(1581498217)
    assert second.start_time == pytest.approx(1581498217 + 23)
    for recording, start, seconds in ((first, 0, 20), (second, 23, 37)):
        assert len(recording.signal) == pytest.approx(seconds * 30, abs=1)
        np.testing.assert_allclose(recording.signal[:, 2], 1, atol=1e-6)
        np.testing.assert_allclose(recording.signal[:, 1], 0.1, atol=2e-3)
        moments = start + np.arange(len(recording.signal)) / 30
        np.testing.assert_allclose(recording.signal[:, 0] * 256, moments, atol=0.55)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_actigraph_archive_is_named(tmp_path: Path, keep: float) -> None:
    content = gt3x(60)
    (tmp_path / "a.gt3x").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=r"a\.gt3x is damaged"):
        list(DeviceFolder(tmp_path, NAMES).recordings())


FILES = [gt3x(5), *(file.read_bytes() for file in sorted(REAL.glob("*_sample.*")))]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_changed_in_a_file_it_is_read_or_named(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    suffix = data.draw(st.sampled_from([".cwa", ".bin", ".gt3x"]))
    (tmp_path / f"a{suffix}").write_bytes(bytes(content))
    try:
        recordings = list(DeviceFolder(tmp_path, NAMES, lenient=data.draw(st.booleans())).recordings())
        named = all(len(recording.signal) for recording in recordings)
    except DataError as error:
        named = f"a{suffix}" in str(error)
    finally:
        (tmp_path / f"a{suffix}").unlink()
    assert named
