"""Published sets in files and archives that are anything but what was published: an error of ours, never another."""

from __future__ import annotations

import io
import lzma
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.data.readers.raw_files import find_files
from relcon_lightning.data.sources.capture24 import Capture24
from relcon_lightning.data.sources.dsa import DailyAndSports
from relcon_lightning.data.sources.hhar import Hhar
from relcon_lightning.data.sources.motionsense import MotionSense
from relcon_lightning.data.sources.opportunity import Opportunity
from relcon_lightning.data.sources.pamap2 import Pamap2
from relcon_lightning.data.sources.wisdm import Wisdm
from tests.data.readers.damage import PACKERS, damaged, fuzz, none_but_ours, spoil
from tests.data.sources import (
    test_capture24,
    test_dsa,
    test_hhar,
    test_motionsense,
    test_opportunity,
    test_pamap2,
    test_wisdm,
)

SETS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "wisdm": (Wisdm, "data_1600_accel_watch.txt"),
    "hhar": (Hhar, test_hhar.NAME),
    "dsa": (DailyAndSports, "data/a01/p1/s01.txt"),
    "motionsense": (MotionSense, "A_DeviceMotion_data/dws_1/sub_1.csv"),
    "pamap2": (Pamap2, "Protocol/subject101.dat"),
    "opportunity": (Opportunity, "S1-ADL1.dat"),
}
TEXTS = {
    "wisdm": test_wisdm.lines(1600, "A", test_wisdm.steady(2)),
    "hhar": test_hhar.text(test_hhar.rows_of("a", "gear_1", [("sit", 1.5), ("walk", 1.5)])),
    "dsa": test_dsa.text(0),
    "motionsense": test_motionsense.motion(60),
    "pamap2": test_pamap2.text(test_pamap2.table([(1, 0.8), (4, 0.8)])),
    "opportunity": test_opportunity.text(test_opportunity.table([(1, 1.0), (2, 0.6)])),
    "dictionary": test_capture24.DICTIONARY.to_csv(index=False),
    "day": test_capture24.rows([(test_capture24.SLEEP, 1.2), (None, 0.5)]).to_csv(index=False),
}
SPACED = {"pamap2", "opportunity"}


@st.composite
def spoilt(draw: st.DrawFn, name: str) -> bytes:
    """A published text with some of its cells, and then of its bytes, replaced."""
    separator = " " if name in SPACED else ","
    lines = [line.split(separator) for line in TEXTS[name].split("\n")]
    for _ in range(draw(st.integers(0, 3))):
        spoil(draw, lines[draw(st.integers(0, len(lines) - 1))])
    return draw(damaged("\n".join(separator.join(line) for line in lines).encode("utf-8", "replace")))


def read(make: Callable[[Path], Any], files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        with none_but_ours(*files):
            for recording in make(Path(folder)).recordings():
                assert recording.signal.shape[1] == 3


@pytest.mark.parametrize("name", SETS)
@fuzz
@given(st.data())
def test_a_damaged_file_of_a_set_is_an_error_of_ours(name: str, data: st.DataObject) -> None:
    make, path = SETS[name]
    read(make, {path: data.draw(spoilt(name))})


@fuzz
@given(spoilt("dictionary"), spoilt("day").map(PACKERS[".csv.gz"]).flatmap(damaged))
def test_a_damaged_day_of_capture24_too(dictionary: bytes, day: bytes) -> None:
    read(Capture24, {"P001.csv.gz": day, "annotation-label-dictionary.csv": dictionary})


names = st.one_of(
    st.sampled_from(["a.csv", "b/a.csv", "", ".", "./", "/", "//a.csv", "../a.csv", "c:\\a.csv", "a\\b.csv", "é.csv"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
)
members = st.lists(st.tuples(names, st.binary(max_size=60)), max_size=4)


def zipped(files: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two of one name
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def tarred(files: list[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content) * (kind == tarfile.REGTYPE), kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def read_archive(suffix: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"set{suffix}").write_bytes(content)
        with none_but_ours(folder):
            for file in find_files(folder, r"([^/]*)", "").values():
                file.read()


@fuzz
@given(members, members, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]), st.data())
def test_a_damaged_zip_in_a_zip_too(
    outer: list[tuple[str, bytes]], inner: list[tuple[str, bytes]], method: int, data: st.DataObject
) -> None:
    nested = data.draw(damaged(zipped(inner, method)))
    read_archive(".zip", data.draw(damaged(zipped([*outer, ("in.zip", nested)], method))))


@fuzz
@given(members, st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_SPARSE, tarfile.DIRTYPE]), st.data())
def test_a_damaged_tar_too(files: list[tuple[str, bytes]], kind: bytes, data: st.DataObject) -> None:
    whole = lzma.compress(data.draw(damaged(tarred(files, kind))), preset=0)
    read_archive(".tar.xz", data.draw(damaged(whole)))
