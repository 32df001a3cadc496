"""A lock for files and folders that only one process may write at a time. It is released when the process ends."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # errors of file systems without locks


class LockedError(RuntimeError):
    """Another process holds the lock.

    Args:
        holder: Process that holds the lock, as ``process 12 on host``.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file or folder, which is ``.NAME.lock`` next to it.

    A killed process leaves no lock. If the file system or the platform has no locks, nothing is locked.

    Args:
        path: File or folder to lock. It need not exist, but its parent folder must.
        wait: True: wait while another process holds the lock. False: raise at once.

    Raises:
        LockedError: Another process holds the lock, and ``wait`` is False.
        OSError: The folder cannot be written to.
    """
    if fcntl is None:
        yield
        return
    file = path.with_name(f".{path.name}.lock")
    descriptor = _acquired(file, wait)
    try:
        with suppress(OSError):  # a full disk; the name is only for messages
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        file.unlink(missing_ok=True)  # a process that has opened the file notices that it is gone
        os.close(descriptor)


def _acquired(file: Path, wait: bool) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode("utf-8", "replace") or "another process"
            os.close(descriptor)
            raise LockedError(holder) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                os.close(descriptor)
                raise
            log.debug("%s: %s", file, error)
        if _is(file, descriptor):
            return descriptor
        os.close(descriptor)


def _is(file: Path, descriptor: int) -> bool:
    """True if the path still leads to the file that was opened."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
