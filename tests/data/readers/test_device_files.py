"""The readers of devices' files: against the samples that were written, other readers, and files that were changed."""

from __future__ import annotations

import json
import logging
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relcon_lightning.data.readers.device_files import axivity
from relcon_lightning.data.readers.device_files.contents import Samples
from relcon_lightning.data.readers.device_files.device_file import open_device_file
from relcon_lightning.data.sources.device import DeviceFolder
from relcon_lightning.errors import DataError
from tests.data.readers.devices import START, archive, bits12, counts_of, cwa, geneactiv, gt3x, info, old_gt3x, record

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "device_samples"
NAMES = r"^[^/_.]+"
RNG = np.random.default_rng(0)


def read(tmp_path: Path, content: bytes, name: str = "a.gt3x", lenient: bool = False) -> tuple[Samples, float]:
    """All samples, and the rate."""
    (tmp_path / name).write_bytes(content)
    with open_device_file(tmp_path / name, lenient) as contents:
        found = list(contents.samples)
    joined = Samples(np.concatenate([some.stamps for some in found]), np.concatenate([some.signal for some in found]))
    return joined, contents.rate


def walk(rows: int) -> np.ndarray:
    """``(n, 3)`` in g, with every sign and size that fits into the formats."""
    return RNG.uniform(-0.99, 0.99, (rows, 3))


@pytest.mark.parametrize(("bits", "axes"), [(10, 3), (16, 3), (16, 6)])
@pytest.mark.parametrize("rows", [1, 500, 120 * 700 + 7])
def test_an_axivity_file_gives_the_samples_that_were_written(tmp_path, bits, axes, rows, monkeypatch):
    monkeypatch.setattr(axivity, "_AT_ONCE", 100)
    signal = walk(rows) * (7.9 if bits == 10 else 1)
    times = np.arange(rows) / 98.0  # the oscillator is off by 2 %
    found, rate = read(tmp_path, cwa(times, signal, 100, bits, axes), "a.cwa")
    assert rate == 100
    assert len(found.signal) == rows
    tolerance = 8 / 256 if bits == 10 else 1 / 32768  # of 10 bits with an exponent
    np.testing.assert_allclose(found.signal, signal, atol=tolerance)
    last = rows - (rows - 1) % (120 if bits == 10 else 80 if axes == 3 else 40) - 1
    written = np.where(np.arange(rows) < last, times, times[last] + (np.arange(rows) - last) / (98 if last else 100))
    np.testing.assert_allclose((found.stamps - START * 10**9) / 1e9, written, atol=1e-4)


def test_an_axivity_file_with_a_gap_keeps_the_rate_before_it(tmp_path):
    times = np.arange(400) / 100 + np.where(np.arange(400) < 240, 0, 30)
    found, _ = read(tmp_path, cwa(times, walk(400)), "a.cwa")
    np.testing.assert_allclose(np.diff(found.stamps) / 1e9, np.diff(times), atol=1e-4)


def test_a_geneactiv_file_gives_the_samples_that_were_written(tmp_path):
    pages = [RNG.integers(-1700, 2000, (300, 3)) for _ in range(3)]
    found, rate = read(tmp_path, geneactiv(pages, 85.7, step_s=3.5), "a.bin")
    assert rate == 85.7
    np.testing.assert_allclose(found.signal, np.concatenate(pages) / 256, atol=1e-6)
    expected = np.concatenate([START + 3.5 * page + np.arange(300) / 85.7 for page in range(3)])
    np.testing.assert_allclose(found.stamps - START * 10**9, (expected - START) * 1e9, atol=1e3)


@pytest.mark.parametrize("kind", [0, 26, 27])
@pytest.mark.parametrize("rate", [30, 35, 100])  # samples of 35 Hz end within a byte
def test_the_records_of_an_actigraph_give_the_samples_that_were_written(tmp_path, kind, rate):
    found, read_rate = read(tmp_path, gt3x(5, rate, drop=(3,), kind=kind))
    assert read_rate == rate
    kept = (0, 1, 2, 4)
    np.testing.assert_allclose(found.signal, np.concatenate([counts_of(s, rate) for s in kept]) / 256, atol=1e-6)
    expected = np.concatenate([s + np.arange(rate) / rate for s in kept])
    np.testing.assert_allclose(found.stamps - START * 10**9, expected * 1e9, atol=1)


@pytest.mark.parametrize("rows", [1, 2, 90_001])
def test_an_old_actigraph_gives_the_samples_that_were_written(tmp_path, rows):
    counts = RNG.integers(-2048, 2048, (rows, 3))
    found, rate = read(tmp_path, old_gt3x(counts, 40))
    assert rate == 40
    np.testing.assert_allclose(found.signal, counts / 341, atol=1e-6)
    np.testing.assert_allclose(found.stamps - START * 10**9, np.arange(rows) / 40 * 1e9, atol=1)


def test_the_example_in_the_description_of_the_old_format(tmp_path):
    content = archive(activity_bin=bytes.fromhex("006008EBD007009EBF007008EBF0"), info_txt=info(30))
    found, _ = read(tmp_path, content)
    expected = [[0.023, 0.018, -0.947], [0.026, 0.021, -0.941], [0.023, 0.021, -0.941]]
    np.testing.assert_allclose(found.signal, expected, atol=6e-4)


def test_the_scale_of_an_actigraph_is_that_of_the_file(tmp_path):
    log = b"".join(record(26, second, counts_of(second, 30).astype("<i2").tobytes()) for second in range(3))
    for facts, scale in (
        ({"Acceleration_Scale": "128,0"}, 128),  # written with a decimal comma
        ({"Serial_Number": "CLE2B11130001"}, 341),
        ({"Serial_Number": "TAS1D12345678"}, 256),
    ):
        found, _ = read(tmp_path, archive(log_bin=log, info_txt=info(30, **facts)))
        assert found.signal[-1, 2] == pytest.approx(256 / scale)
    with pytest.raises(DataError, match=r"does not state the number of counts per g\. Export the raw data as CSV"):
        read(tmp_path, archive(log_bin=log, info_txt=info(30, Serial_Number="S1")))


def test_a_usb_cable_and_zeros_between_records_are_no_damage(tmp_path):
    log = b"".join(
        record(26, second, counts_of(second, 30).astype("<i2").tobytes()) + b"\0" * second + record(26, second, b"\1")
        for second in range(3)
    )
    assert len(read(tmp_path, archive(log_bin=log, info_txt=info(30)))[0].signal) == 90


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive(other_txt=b"x"), r"zip archive without info.txt and log.bin or activity.bin"),
        (
            archive(log_bin=record(9, 0, b"epoch"), info_txt=info(30)),
            r"no raw acceleration samples.* are 1 of type 9\. .* ActiLife",
        ),
        (archive(activity_bin=b"", info_txt=info(30)), "its activity.bin is empty"),
        (
            archive(log_bin=b"", info_txt=info(32), calibration_json=json.dumps({"isCalibrated": False}).encode()),
            "need calibration",
        ),
        (b"GENEA/1.00\nSerial-Number:01275\n", "a recording of a GENEA"),
        (b"\0" * 512 + b"MDTC" + b"\0" * 99, "a recording of a Parmay Matrix"),
        (b"", "is empty"),
        (b"hello world\n" * 1000, r"not an Axivity, GENEActiv or ActiGraph recording: it begins with b'hello"),
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_what_cannot_be_read_is_refused_with_the_reason_and_no_advice_that_does_not_help(
    tmp_path, content, reason, lenient
):
    with pytest.raises(DataError, match=reason) as error:
        read(tmp_path, content, lenient=lenient)
    assert "lenient" not in str(error.value)


def damaged(kind: str) -> tuple[bytes, str, int, int]:
    """A file with damage in its middle, its name, how many samples can be read, and how many it had."""
    if kind == "cwa":
        content = bytearray(cwa(np.arange(800) / 100, walk(800)))
        content[1024 + 3 * 512 + 200] ^= 1
        return bytes(content), "a.cwa", 720, 800
    if kind == "bin":
        pages = [RNG.integers(-900, 900, (300, 3)) for _ in range(5)]
        content = bytearray(geneactiv(pages))
        content[len(content) // 2 : len(content) // 2 + 4] = b"ZZZZ"
        return bytes(content), "a.bin", 1200, 1500
    log = bytearray(b"".join(record(0, s, bits12(counts_of(s, 30))) for s in range(9)))
    log[5 * 144 + 60] ^= 1
    return archive(log_bin=bytes(log), info_txt=info(30)), "a.gt3x", 240, 270


@pytest.mark.parametrize("kind", ["cwa", "bin", "gt3x"])
def test_damage_is_refused_and_named_or_read_around_when_asked(tmp_path, kind, caplog):
    content, name, sound, _ = damaged(kind)
    with pytest.raises(DataError, match=rf"{name} is damaged: .*data\.source\.lenient=true"):
        read(tmp_path, content, name)
    with caplog.at_level(logging.WARNING):
        found, _ = read(tmp_path, content, name, lenient=True)
    assert len(found.signal) == sound
    assert f"{name}: left out" in caplog.text


def test_a_thousand_damaged_places_are_a_few_lines(tmp_path, caplog):
    content = bytearray(cwa(np.arange(80_000) / 100, walk(80_000)))
    for block in range(500):
        content[1024 + 512 * block + 100] ^= 1
    with caplog.at_level(logging.WARNING):
        found, _ = read(tmp_path, bytes(content), "a.cwa", lenient=True)
    assert len(found.signal) == 40_000
    assert len(caplog.records) == 6
    assert "left out 495 more damaged parts" in caplog.text


@pytest.mark.parametrize(
    "content", [cwa(np.arange(800) / 100, walk(800)), geneactiv([RNG.integers(-900, 900, (300, 3))] * 4)]
)
def test_a_file_that_was_cut_short_is_read_to_its_end_with_a_word(tmp_path, content, caplog):
    name = "a.cwa" if content[:2] == b"MD" else "a.bin"
    with caplog.at_level(logging.WARNING):
        found, _ = read(tmp_path, content[: len(content) // 2 + 77], name)
    assert 0 < len(found.signal) < 1200
    assert "it ends within" in caplog.text


@pytest.mark.parametrize("name", ["a.cwa", "a.bin"])
@pytest.mark.parametrize("lenient", [False, True])
def test_a_clock_that_was_set_back_is_noticed(tmp_path, name, lenient, caplog):
    if name == "a.cwa":
        content = cwa(np.r_[np.arange(8000) / 100, np.arange(8000) / 100 - 3600], walk(16000))
    else:
        content = geneactiv([RNG.integers(-900, 900, (300, 3)) for _ in range(20)], start=START + 9000)
        content += content[content.index(b"Recorded Data") :].replace(
            b"Page Time:2020-02-12 11", b"Page Time:2020-02-12 10"
        )
    (tmp_path / name).write_bytes(content)
    source = DeviceFolder(tmp_path, NAMES, lenient=lenient)
    if not lenient:
        with pytest.raises(DataError, match=r"samples that lie \d+ s before the ones that come before them"):
            list(source.recordings())
        return
    parts = list(source.recordings())
    assert all(first.start_time < second.start_time for first, second in pairwise(parts))
    assert sum(len(part.signal) for part in parts) == pytest.approx(8000 if name == "a.cwa" else 6000, rel=0.01)


def test_an_actigraph_archive_is_parted_at_its_gap(tmp_path):
    (tmp_path / "anna_1.gt3x").write_bytes(gt3x(60, drop=(20, 21, 22)))
    first, second = DeviceFolder(tmp_path, NAMES).recordings()
    assert (first.participant_id, first.sampling_rate) == ("anna", 30)
    for part, start, seconds in ((first, 0, 20), (second, 23, 37)):
        assert part.start_time == pytest.approx(START + start)
        assert len(part.signal) == pytest.approx(seconds * 30, abs=1)
        np.testing.assert_allclose(part.signal[:, 2], 1, atol=1e-6)
        moments = start + np.arange(len(part.signal)) / 30
        np.testing.assert_allclose(part.signal[:, 0] * 256, moments, atol=0.55)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_actigraph_archive_is_named(tmp_path, keep):
    content = gt3x(60)
    with pytest.raises(DataError, match=r"a\.gt3x is damaged"):
        read(tmp_path, content[: int(keep * len(content))])


FILES = [
    gt3x(5),
    old_gt3x(np.full((200, 3), 200)),
    cwa(np.arange(400) / 100, walk(400), bits=10),
    geneactiv([RNG.integers(-300, 300, (300, 3))] * 2),
    *(file.read_bytes() for file in sorted(REAL.glob("*_sample.*"))),
]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_changed_in_a_file_it_is_read_or_named(tmp_path, data):
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    suffix = data.draw(st.sampled_from([".cwa", ".bin", ".gt3x"]))
    (tmp_path / f"a{suffix}").write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    try:
        recordings = list(DeviceFolder(tmp_path, NAMES, lenient=data.draw(st.booleans())).recordings())
        named = all(len(recording.signal) for recording in recordings)
    except DataError as error:
        named = f"a{suffix}" in str(error)
    finally:
        (tmp_path / f"a{suffix}").unlink()
    assert named


def spread(stamps: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The samples of each block evenly up to the next one, if that is within 5 % of their own step, one by one."""
    firsts = [*np.flatnonzero(np.isin(stamps, starts)).tolist(), len(stamps)]
    times, step = stamps.astype(np.float64), 0.0
    for block, (first, end) in enumerate(pairwise(firsts)):
        own = float(np.median(np.diff(stamps)))
        if block + 1 < len(starts):
            step = float(starts[block + 1] - starts[block]) / (end - first)
            step = step if abs(step / own - 1) < 0.05 else own
        times[first:end] = stamps[first] - stamps[0] + np.arange(end - first) * step
    return times


WRITTEN = {
    "packed.cwa": cwa(np.arange(2000) / 97.0, walk(2000) * 7.9, bits=10),
    "short.cwa": cwa(np.arange(2000) / 103.0, walk(2000)),
    "turning.cwa": cwa(np.arange(2000) / 50, walk(2000), 50, axes=6),
    "a.bin": geneactiv([RNG.integers(-1700, 2000, (300, 3)) for _ in range(7)], 60),
    "a.gt3x": gt3x(20, drop=(4, 5)),
}


@pytest.mark.parametrize("name", [*WRITTEN, "ax3_sample.cwa", "gnactv_sample.bin"])
def test_the_readers_agree_with_actfast(tmp_path, name):
    actfast = pytest.importorskip("actfast", reason="the oracle is not installed")
    path = tmp_path / name if name in WRITTEN else REAL / name
    if name in WRITTEN:
        path.write_bytes(WRITTEN[name])
    if not path.exists():
        pytest.skip(f"no file {path}")
    tables = actfast.read(path)["timeseries"].values()
    table = next(table for table in tables if "acceleration" in table)
    with open_device_file(path) as contents:
        found = list(contents.samples)
    np.testing.assert_array_equal(np.concatenate([some.signal for some in found]), table["acceleration"])
    stamps = np.concatenate([some.stamps for some in found])
    if name.endswith(".cwa"):
        starts = next(other["datetime"] for other in tables if other is not table)
        np.testing.assert_allclose(stamps - stamps[0], spread(table["datetime"], starts), atol=1e4)
        assert abs(int(stamps[0]) - int(table["datetime"][0])) < 1e3
    else:
        np.testing.assert_allclose(stamps - table["datetime"], 0, atol=1e3)
