from __future__ import annotations

import io
import lzma
import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data.readers import raw_files
from relcon_lightning.data.sources.dsa import ACTIVITIES, POSITIONS, DailyAndSports
from relcon_lightning.errors import ConfigError, DataError

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = SHARED / "dsa"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the Daily and Sports Activities files are not at {REAL}")
Files = dict[str, str]


def text(first: float, rows: int = 125, columns: int = 45) -> str:
    """A file as published; column ``c`` of row ``r`` is ``first + r + c / 100``."""
    return "\n".join(",".join(f"{first + r + c / 100:.5g}" for c in range(columns)) for r in range(rows)) + "\n"


def as_folder(root: Path, files: Files) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def as_zip(root: Path, files: Files) -> Path:
    with zipfile.ZipFile(root / "daily+and+sports+activities.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return root


def as_tar(root: Path, files: Files) -> Path:
    for activity in {name.split("/")[1] for name in files}:
        with tarfile.open(root / f"{activity}.tar.xz", "w:xz") as archive:
            for name, content in files.items():
                if name.split("/")[1] == activity:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content.encode()))
    return root


FILES = {
    "data/a17/p2/s02.txt": text(125),
    "data/a17/p2/s01.txt": text(0),
    "data/a17/p2/s04.txt": text(375),
    "data/a01/p1/s01.txt": text(0),
}


@pytest.mark.parametrize("lay_out", [as_folder, as_zip, as_tar])
def test_segments_join_in_order_and_a_missing_one_parts(tmp_path: Path, lay_out: Callable[[Path, Files], Path]) -> None:
    source = DailyAndSports(lay_out(tmp_path, FILES))
    sitting, rowing, later = source.recordings()
    assert [r.recording_id for r in (sitting, rowing, later)] == [
        "dsa-p1-sitting",
        "dsa-p2-rowing#1",
        "dsa-p2-rowing#2",
    ]
    assert (rowing.participant_id, rowing.sampling_rate, source.info.position) == ("dsa-p2", 25, "right wrist")
    expected = np.arange(250)[:, None] + np.array([0.09, 0.10, 0.11])
    np.testing.assert_allclose(rowing.signal * 9.80665, expected, atol=0.006)
    assert [(s.start_s, s.end_s, s.label) for s in rowing.segments] == [(0, 10, "rowing")]
    assert [(s.start_s, s.end_s, s.label) for s in later.segments] == [(0, 5, "rowing")]
    np.testing.assert_allclose(later.signal[0] * 9.80665, 375 + np.array([0.09, 0.10, 0.11]), atol=0.06)


@pytest.mark.parametrize(("position", "first"), POSITIONS.items())
def test_each_position_has_its_columns(tmp_path: Path, position: str, first: int) -> None:
    [recording] = DailyAndSports(as_folder(tmp_path, {"data/a01/p1/s01.txt": text(0)}), position).recordings()
    np.testing.assert_allclose(recording.signal[0] * 9.80665, (first + np.arange(3)) / 100, atol=1e-6)
    with pytest.raises(ConfigError, match=r"position=wrist: expected one of torso, right_wrist"):
        DailyAndSports(tmp_path, "wrist")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "[Ee]mpty"),
        (text(0, rows=124), "has 124 rows, expected 125"),
        (text(0)[:-30], "45 columns, got"),
        (text(0, columns=44), "45 columns, got 44"),
        (text(0).replace("5.09,", "wrist,", 1), "'wrist'"),
    ],
)
@pytest.mark.parametrize("lay_out", [as_folder, as_zip, as_tar])
def test_a_bad_file_is_named(tmp_path: Path, lay_out: Callable, content: str, message: str) -> None:
    source = DailyAndSports(lay_out(tmp_path, {"data/a05/p3/s01.txt": content}))
    with pytest.raises(DataError, match=rf"data/a05/p3/s01\.txt.*{message}"):
        list(source.recordings())


def test_an_unknown_activity_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a20/p1/s01\.txt: unknown activity; expected a01 to a19"):
        list(DailyAndSports(as_folder(tmp_path, {"data/a20/p1/s01.txt": text(0)})).recordings())


@pytest.mark.parametrize("lay_out", [as_zip, as_tar])
@pytest.mark.parametrize("name", ["../a01/p1/s01.txt", "/x/a01/p1/s01.txt", "data/../../a01/p1/s01.txt"])
def test_archives_that_point_outside_are_refused(tmp_path: Path, lay_out: Callable, name: str) -> None:
    with pytest.raises(DataError, match="do not trust this archive"):
        DailyAndSports(lay_out(tmp_path, {name: text(0)}))


@pytest.mark.parametrize("lay_out", [as_zip, as_tar])
def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lay_out: Callable) -> None:
    monkeypatch.setattr(raw_files, "MAX_BYTES", 10_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        list(DailyAndSports(lay_out(tmp_path, {"data/a01/p1/s01.txt": text(0)})).recordings())


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(text(0))
    (tmp_path / "raw").mkdir()
    with tarfile.open(tmp_path / "raw" / "a01.tar.xz", "w:xz") as archive:
        link = tarfile.TarInfo("data/a01/p1/s01.txt")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        archive.addfile(link)
    with pytest.raises(DataError, match="none of the expected files"):
        DailyAndSports(tmp_path / "raw")


@pytest.mark.parametrize("lay_out", [as_zip, as_tar])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_truncated_archives_are_named(tmp_path: Path, lay_out: Callable, keep: float) -> None:
    [path] = lay_out(tmp_path, {"data/a01/p1/s01.txt": text(0)}).iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=rf"{path.name.replace('+', '.')} is (damaged|cut short)"):
        DailyAndSports(tmp_path)


def test_a_damaged_member_and_a_short_tar_are_named(tmp_path: Path) -> None:
    [path] = as_zip(tmp_path, {"data/a01/p1/s01.txt": text(0)}).iterdir()
    content = bytearray(path.read_bytes())
    content[200:220] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"zip, data/a01/p1/s01\.txt is damaged"):
        list(DailyAndSports(path).recordings())
    [tar] = as_tar(tmp_path / "..", {"data/a01/p1/s01.txt": text(0)}).glob("*.tar.xz")
    tar.write_bytes(lzma.compress(lzma.decompress(tar.read_bytes())[:5000]))
    with pytest.raises(DataError, match=r"a01\.tar\.xz is damaged"):
        DailyAndSports(tar)


def test_an_archive_beside_its_unpacked_files_is_refused(tmp_path: Path) -> None:
    as_zip(as_folder(tmp_path, FILES), FILES)
    with pytest.raises(DataError, match="are the same file; remove one"):
        DailyAndSports(tmp_path)


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    for raw_dir in (None, tmp_path / "no", tmp_path):
        with pytest.raises(DataError, match=r"data/a01/p1/s01\.txt.*archive\.ics\.uci\.edu"):
            DailyAndSports(raw_dir)


@real
def test_the_real_files() -> None:
    found = list(DailyAndSports(REAL).recordings())
    assert Counter(r.participant_id for r in found) == {f"dsa-p{p}": 19 for p in range(1, 9)}
    assert Counter(r.segments[0].label for r in found) == dict.fromkeys(ACTIVITIES.values(), 8)
    assert {r.signal.shape for r in found} == {(2500, 3)}  # 100 s
    norms = np.array([np.median(np.linalg.norm(r.signal, axis=1)) for r in found])
    assert np.median(norms) == pytest.approx(1, abs=0.03)
    first = next(r for r in found if r.recording_id == "dsa-p1-sitting").signal[:2] * 9.80665
    np.testing.assert_allclose(first, [[0.70097, 5.6829, 7.9812], [0.71829, 5.6005, 7.9712]], atol=1e-6)
