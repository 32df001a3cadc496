"""Archives that are meant to harm, or broken where no published one is."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from relcon_lightning.data.readers import raw_files
from relcon_lightning.data.readers.raw_files import find_files
from relcon_lightning.data.sources.hhar import Hhar
from relcon_lightning.errors import DataError
from tests.data.sources import test_hhar


def zipped(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_a_member_without_a_name_is_passed_over(tmp_path: Path, name: str) -> None:
    zipped(tmp_path / "set.zip", **{name: "", "a.csv": "1"})
    [file] = find_files(tmp_path, r"a\.csv", "").values()
    assert file.read() == b"1"


def test_a_zip_whose_parts_lie_before_its_start_is_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", **{"in.zip": "not looked at"})
    path.write_bytes(path.read_bytes()[1:])  # every offset is one too high
    with pytest.raises(DataError, match=r"set\.zip, in\.zip cannot be unpacked|set\.zip.* is damaged"):
        find_files(tmp_path, ".*", "")


@pytest.mark.parametrize("place", [0, 1])
def test_a_zip_with_a_name_that_is_not_in_the_encoding_it_says_is_damaged(tmp_path: Path, place: int) -> None:
    """In the header of the member, read when it is opened, or in the archive's list of members, read at once."""
    path = zipped(tmp_path / "set.zip", **{"ä.csv": "1"})
    first, second, third = path.read_bytes().split("ä".encode())
    parts = [first, b"\x80\x80" if place == 0 else "ä".encode(), second, b"\x80\x80" if place else "ä".encode(), third]
    path.write_bytes(b"".join(parts))
    with pytest.raises(DataError, match=r"set\.zip.* is damaged \('utf-8' codec can't decode"):
        [file.read() for file in find_files(tmp_path, ".*", "").values()]


def test_a_sparse_file_of_a_tar_is_refused_before_its_zeros_are_made(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("data/a01/p1/s01.txt").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"%011o\0" % 2**32 + b"%011o\0" % 0  # one stretch of nothing, at 4 GiB
    header[483:495] = b"%011o\0" % 2**32  # the size when unpacked
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * ord(" ") + sum(header[156:]))
    with tarfile.open(fileobj=io.BytesIO(bytes(header) + bytes(1024))) as archive:
        [member] = archive
        assert member.size == 2**32
    (tmp_path / "a01.tar.xz").write_bytes(lzma.compress(bytes(header) + bytes(1024)))
    with pytest.raises(DataError, match="a sparse file: do not trust this archive"):
        find_files(tmp_path, ".*", "")


def test_a_bomb_that_is_read_piece_by_piece_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test_hhar.as_published(tmp_path, test_hhar.text(test_hhar.rows_of("a", "gear_1", [("sit", 3.0)])))
    assert len(list(Hhar(tmp_path).recordings())) == 1
    monkeypatch.setattr(raw_files, "MAX_BYTES", 20_000)
    with pytest.raises(DataError, match=r"^[^:]*Watch_accelerometer\.csv unpacks to more than"):
        list(Hhar(tmp_path).recordings())
