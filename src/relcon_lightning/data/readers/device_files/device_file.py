"""Open a device file of any supported device and compression."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from relcon_lightning.data.readers.device_files import actigraph, axivity, geneactiv
from relcon_lightning.data.readers.device_files.contents import Contents, Damage
from relcon_lightning.data.readers.suffixes import UNREADABLE, is_packed, only_file, open_bytes, text_of
from relcon_lightning.errors import DataError

MAX_BYTES = 2**32  # maximum unpacked size of a compressed archive; a .gt3x of a month has some hundred MB
_HEAD = 1024  # bytes that identify the device
_READERS: dict[bytes, Callable[[IO[bytes], Damage], Contents]] = {
    axivity.MAGIC: axivity.read_axivity,
    geneactiv.MAGIC: geneactiv.read_geneactiv,
    actigraph.MAGIC: actigraph.read_actigraph,
}
_OTHERS = {  # first bytes of unsupported files that have the same suffix
    b"GENEA/": "a recording of a GENEA, the predecessor of the GENEActiv",
    b"MDTC": "a recording of a Parmay Matrix",
}


@contextmanager
def open_device_file(path: Path, lenient: bool = False) -> Iterator[Contents]:
    """Open a file of an Axivity, a GENEActiv or an ActiGraph; its content identifies the device.

    Args:
        path: Path of the file, compressed or not. A compressed ``.gt3x`` is unpacked to a temporary file.
        lenient: Read the intact part of a damaged file, with a warning.

    Raises:
        DataError: The file is damaged or of another device. It can also be raised while samples are read.
    """
    damage = Damage(text_of(path), lenient)
    try:
        with open_bytes(path, only_file) as file:
            head = file.read(_HEAD)
        read = _reader_for(head, path)
        with ExitStack() as stack:
            file = stack.enter_context(open_bytes(path, only_file))
            if is_packed(path.name):
                file = damage.reading(file)
                if read is actigraph.read_actigraph:
                    file = stack.enter_context(_seekable(file, path))
            yield read(file, damage)
    except DataError:
        raise
    except (*UNREADABLE, ValueError, NotImplementedError, RuntimeError) as error:  # such as an encrypted archive
        raise damage.error(error) from error
    finally:
        damage.close()


@contextmanager
def _seekable(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """Unpack a compressed archive to a temporary file."""
    with tempfile.TemporaryFile() as copy:
        left = MAX_BYTES
        while left and (piece := file.read(min(left, 2**20))):
            copy.write(piece)
            left -= len(piece)
        if not left:
            raise DataError(f"{text_of(path)} holds more than {MAX_BYTES >> 30} GiB once unpacked, and is refused.")
        copy.seek(0)
        yield cast(IO[bytes], copy)


def _reader_for(head: bytes, path: Path) -> Callable[[IO[bytes], Damage], Contents]:
    """Reader for the device; raises DataError if there is none, with the name of the device if it is known."""
    other = next((kind for mark, kind in _OTHERS.items() if head.lstrip(b"\0").startswith(mark)), None)
    read = next((reader for magic, reader in _READERS.items() if head.startswith(magic)), None)
    if read is not None and other is None:
        return read
    begins = f"not an Axivity, GENEActiv or ActiGraph recording: it begins with {head[:16]!r}" if head else "empty"
    raise DataError(
        f"{text_of(path)} is {other or begins}. Only Axivity .cwa, GENEActiv .bin and ActiGraph .gt3x files are "
        "supported. Export it as CSV with the manufacturer's software."
    )
