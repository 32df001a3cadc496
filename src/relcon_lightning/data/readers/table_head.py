"""The beginning of a text file: its encoding, its lines and where its data begin."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from relcon_lightning.data.readers.suffixes import COMPRESSIONS, UNREADABLE, open_bytes, text_of, unpacked
from relcon_lightning.errors import DataError

_BYTES = 2**20  # number of examined bytes
LINES = 1000  # number of examined lines
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LINE_END = re.compile(r"\r\n|\n|\r")
_BEGINNINGS = {  # of files that are not text
    ".gz": b"\x1f\x8b",
    ".bz2": b"BZh",
    ".xz": b"\xfd7zXZ\x00",
    ".zst": b"\x28\xb5\x2f\xfd",
    ".zip": b"PK\x03\x04",
    ".parquet": b"PAR1",
}
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_COMMA_NUMBER = re.compile(r"\s*[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class Head:
    """The first lines of a text file.

    Attributes:
        path: Path of the file.
        text: Beginning of the file.
        encoding: Name of the encoding.
        bom: Length of the byte order mark in bytes.
    """

    path: Path
    text: str
    encoding: str
    bom: int

    @classmethod
    def read(cls, path: Path) -> Head:
        """Read the first megabyte.

        Raises:
            DataError: The file is empty, damaged, not text, or one endless line.
        """
        try:
            with open_bytes(path) as file:
                content = file.read(_BYTES)
        except DataError:
            raise
        except NO_TABLE as error:
            _refuse_misnamed(path, path.suffix.lower(), path.open("rb").read(8))
            raise DataError(f"{text_of(path)} is damaged or cut short ({error}).") from error
        _refuse_misnamed(path, "", content)
        if not content.strip():
            raise DataError(f"{text_of(path)} is empty.")
        bom = next((mark for mark in _BOMS if content.startswith(mark)), b"")
        encoding = _BOMS[bom] if bom else _guess(content)
        text = codecs.getincrementaldecoder(encoding)("replace").decode(content[len(bom) :])
        if "\0" in text[:10_000]:
            raise DataError(f"{text_of(path)} is not text: it contains zero bytes.")
        if len(content) == _BYTES and not _LINE_END.search(text):
            raise DataError(f"{text_of(path)} is not a table: its first megabyte is one line.")
        return cls(path, text, encoding, len(bom))

    @cached_property
    def lines(self) -> list[str]:
        """Up to :data:`LINES` lines."""
        return [self.text[first:last] for first, last in self._spans]

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        spans, first = [], 0
        for end in _LINE_END.finditer(self.text):
            spans.append((first, end.start()))
            first = end.end()
            if len(spans) == LINES:
                return spans
        return [*spans, (first, len(self.text))] if first < len(self.text) else spans

    def cells(self, line: int, separator: str) -> list[str]:
        """Cells of a line, without surrounding blanks."""
        return split(self.lines[line], separator)

    def rows(self, first: int, separator: str, most: int = LINES) -> list[list[str]]:
        """Cells of the lines from ``first`` on, without blank lines."""
        lines = self.lines[first : first + most]
        complete = lines[:-1] if len(self._spans) < LINES and first + most >= len(self.lines) else lines
        return [split(line, separator) for line in (complete or lines) if line.strip()]

    def place(self, line: int) -> Place:
        """The beginning of a line."""
        start = self._spans[line][0] if line < len(self._spans) else len(self.text)
        return Place(self.path, self.encoding, self.bom, len(self.text[:start].encode()))


@dataclass(frozen=True)
class Place:
    """A place in a text file. Unlike a :class:`Head`, it takes no memory.

    Attributes:
        path: Path of the file.
        encoding: Name of the encoding.
        bom: Length of the byte order mark in bytes.
        offset: Number of bytes before the place, in UTF-8 and without the byte order mark.
    """

    path: Path
    encoding: str
    bom: int
    offset: int

    def open(self) -> IO[bytes]:
        """Open the file at the place, converted to UTF-8."""
        file = open_bytes(self.path)
        file.read(self.bom)
        if self.encoding == "utf-8":
            file = io.BufferedReader(_ValidText(file), 2**20)
        else:
            stream = pa.transcoding_input_stream(pa.PythonFile(file, "r"), self.encoding, "utf-8")
            file = io.BufferedReader(stream)
        left = self.offset
        while left and (skipped := len(file.read(min(left, 2**20)))):
            left -= skipped
        return file


NO_TABLE = (*UNREADABLE, RuntimeError, ValueError, KeyError)  # RuntimeError: an encrypted archive


class _ValidText(io.RawIOBase):
    """UTF-8 text in which invalid bytes are replaced, because the CSV parser stops at them."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.ready = file, b""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.ready:
            piece = self.file.read(len(buffer))
            if piece.isascii() and not self.decoder.getstate()[0]:
                self.ready = piece
            else:
                self.ready = self.decoder.decode(piece, final=not piece).encode()
            if not piece:
                break
        size = min(len(buffer), len(self.ready))
        buffer[:size], self.ready = self.ready[:size], self.ready[size:]
        return size

    def close(self) -> None:
        self.file.close()
        super().close()


def split(line: str, separator: str) -> list[str]:
    """Cells of a line, without surrounding quotes and blanks."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error:
        return [line]


def is_number(cell: str, decimal: str = ".") -> bool:
    """True if a cell contains a number."""
    return (_NUMBER if decimal == "." else _COMMA_NUMBER).fullmatch(cell) is not None


def _refuse_misnamed(path: Path, named: str, content: bytes) -> None:
    """Refuse a file that is compressed otherwise than its suffix ``named`` says; ``""`` means not compressed."""
    kind = next((suffix for suffix, beginning in _BEGINNINGS.items() if content.startswith(beginning)), "")
    if kind != named and (kind or named in COMPRESSIONS):
        name = unpacked(path.name)
        name = f"{Path(name).stem}.parquet" if kind == ".parquet" else name + kind
        found = f"a {kind} file" if kind else "not compressed"
        raise DataError(f"{text_of(path)} is {found}, which its name does not say: rename it to {name}.")


def _guess(content: bytes) -> str:
    """Guess the encoding. UTF-16 has a zero byte next to each letter and digit."""
    some = content[:1000]
    for encoding, zeros in (("utf-16-le", some[1::2]), ("utf-16-be", some[0::2])):
        if len(zeros) > 1 and zeros.count(0) > 0.9 * len(zeros):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
