"""Put a folder or file in its place so that a crash leaves either the old or the new content."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from relcon_lightning.errors import DataError

_COPY_BYTES = 2**24


def target(path: Path) -> Path:
    """The target of a link, so that a store elsewhere is replaced there and the link stays.

    Raises:
        DataError: The link leads nowhere.
    """
    try:
        target = path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError):
        target = path
    if target.is_symlink():
        raise DataError(f"{path} is a link to a missing folder: remove it, or choose another data.root.")
    return target


def link(old: Path, new: Path) -> None:
    """Link a file, or copy it on a file system without links."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


def copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy ``size`` bytes between open files.

    Raises:
        OSError: The source has fewer bytes.
    """
    while size:
        content = source.read(min(size, _COPY_BYTES))
        if not content:
            raise OSError(errno.EIO, "samples that were written are gone", source.name)
        target.write(content)
        size -= len(content)


def clear_leftovers(path: Path) -> None:
    """Remove the remains of killed writes, and restore a store that was set aside but not replaced."""
    stem = f".{glob.escape(path.name)}.????????"  # names of mkdtemp; those of store "a.b" must not match "a"
    for old in path.parent.glob(f"{stem}.old"):
        if path.exists():
            shutil.rmtree(old)
        else:
            old.rename(path)
    for unfinished in path.parent.glob(f"{stem}.partial"):
        shutil.rmtree(unfinished)


def replace(path: Path, partial: Path) -> None:
    """Replace the old folder by the finished one. The old folder is removed last, and restored if this fails."""
    old = partial.with_suffix(".old")
    if path.exists():
        path.rename(old)
    try:
        partial.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    fsync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def fsync(path: Path) -> None:
    """Write a file or a folder's list of files to the disk."""
    if os.name == "nt":  # Windows cannot fsync a folder or a file that is open only for reading
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
