"""Check an archive of ``torch.save`` before loading it: it must be complete, and need no more memory than its size.

Torch reads archives without comparing checksums, and trusts the sizes that they contain.
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

MAX_PICKLE_BYTES = 2**26  # maximum size of data.pkl, which contains everything except the values of tensors
MAX_VALUES = 2**20  # maximum number of values in the content, counted each time they are referred to


def load_archive(path: Path) -> Any:
    """Load a file of ``torch.save`` on the CPU. It may contain only plain values and tensors.

    Raises:
        ValueError: The file is not such an archive, is damaged, or would need more memory than its size.
    """
    copy, sizes = _checked(path)
    # Read the copy, not the file: its headers are new, and no checksum covers those of the file.
    try:
        content = torch.load(copy, map_location="cpu", weights_only=True)
    except Exception as error:  # with arbitrary bytes, the unpickler can raise any error
        raise ValueError(str(error).strip().partition("\n")[0].rstrip(".")) from error
    _check_storages(content, sizes)
    return content


def _checked(path: Path) -> tuple[io.BytesIO, Counter[int]]:
    """Copy an archive, comparing the checksum of each member; also returns the number of members of each size.

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
                    raise ValueError("it could allocate any amount of memory (bytearray)")
                made.writestr(zipfile.ZipInfo(member.filename), content)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"the file is damaged, cut short or not an archive of torch.save ({error})") from error
    copy.seek(0)
    return copy, Counter(member.file_size for member in members)


def _check_sizes(members: list[zipfile.ZipInfo], file_bytes: int) -> None:
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed:  # torch does not compress; a compressed member could unpack to any size
        raise ValueError(f"{packed[0]} in it is compressed, which torch.save never does")
    if sum(member.file_size for member in members) > file_bytes:
        raise ValueError("it declares more bytes than the file has")
    if any(member.filename.endswith("/data.pkl") and member.file_size > MAX_PICKLE_BYTES for member in members):
        raise ValueError(f"its data.pkl has more than {MAX_PICKLE_BYTES >> 20} MiB")


def _check_storages(content: Any, sizes: Counter[int]) -> None:
    """Refuse tensors whose memory is not a member of the archive; torch reads past the end of a shorter member."""
    storages = {}
    for tensor in _tensors(content):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} in it has only {storage.nbytes()} bytes")
    unknown = Counter(size for size in storages.values() if size) - sizes
    if unknown:
        raise ValueError(f"a tensor in it declares {max(unknown)} bytes, but no part of the file has this size")


def _tensors(content: Any) -> Iterator[Tensor]:
    """All tensors in nested containers.

    Raises:
        ValueError: There are more than :data:`MAX_VALUES` values, as in containers that contain each other many times.
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
