"""Checking the archive that ``torch.save`` writes before any of it is loaded: whole, and no larger than it looks.

Torch reads its archive without comparing checksums, and believes the sizes that are written in it.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MAX_PICKLE_BYTES = 2**26  # of data.pkl, which holds everything but the numbers of the tensors
MAX_VALUES = 2**20  # values in the content, counted each time that they are referred to


def load_archive(path: Path) -> Any:
    """What ``torch.save`` wrote, on the CPU, plain values and tensors alone.

    Raises:
        ValueError: The file is no such archive, is damaged, or would take more memory than it has bytes.
    """
    copy, sizes = _checked(path)
    # The copy and not the file: damage to the headers, which no checksum covers, ends with them.
    try:
        content = torch.load(copy, map_location="cpu", weights_only=True)
    except Exception as error:  # the bytes of another file make the unpickler raise whatever they lead it to
        raise ValueError(str(error).strip().partition("\n")[0].rstrip(".")) from error
    _check_storages(content, sizes)
    return content


def _checked(path: Path) -> tuple[io.BytesIO, Counter[int]]:
    """A copy whose members all had the checksums they were written with, and how many there are of each size.

    Raises:
        ValueError: See :func:`load_archive`.
    """
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as made:
            members = archive.infolist()
            _check_sizes(members, path.stat().st_size)
            for member in members:
                content = archive.read(member)
                if b"\nbytearray\n" in content and member.filename.endswith("/data.pkl"):
                    raise ValueError("it asks for memory of a size of its own choice (bytearray)")
                made.writestr(zipfile.ZipInfo(member.filename), content)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"the file is damaged, cut short or no archive of torch.save ({error})") from error
    copy.seek(0)
    return copy, Counter(member.file_size for member in members)


def _check_sizes(members: list[zipfile.ZipInfo], file_bytes: int) -> None:
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed:  # torch stores: what is compressed may unpack to any size
        raise ValueError(f"{packed[0]} in it is compressed, which torch.save never does")
    if sum(member.file_size for member in members) > file_bytes:
        raise ValueError("it declares more bytes than the file has")
    if any(member.filename.endswith("/data.pkl") and member.file_size > MAX_PICKLE_BYTES for member in members):
        raise ValueError(f"its data.pkl has more than {MAX_PICKLE_BYTES >> 20} MiB")


def _check_storages(content: Any, sizes: Counter[int]) -> None:
    """Refuse tensors whose memory is not one of the archive's members: torch reads past the end of a shorter one."""
    storages = {}
    for tensor in _tensors(content):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} in it has {storage.nbytes()} bytes")
    unknown = Counter(size for size in storages.values() if size) - sizes
    if unknown:
        raise ValueError(f"a tensor in it declares {max(unknown)} bytes, which no part of the file has")


def _tensors(content: Any) -> Iterator[Tensor]:
    """All tensors in nested containers.

    Raises:
        ValueError: More than :data:`MAX_VALUES` values: containers that hold one another many times.
    """
    waiting, seen = [content], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES} values")
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value
