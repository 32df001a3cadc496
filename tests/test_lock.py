from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relcon_lightning.lock import LockedError, lock


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path):
    with (
        lock(tmp_path / "store"),
        pytest.raises(LockedError, match=f"process {os.getpid()} on "),
        lock(tmp_path / "store"),
    ):
        pass
    with lock(tmp_path / "store"), lock(tmp_path / "store2"):
        pass
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_does_not_lock(tmp_path):
    code = (
        "import os, signal, sys, pathlib; from relcon_lightning.lock import lock\n"
        "with lock(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "store")], check=False)
    assert ended.returncode == -9
    assert (tmp_path / ".store.lock").exists()
    with lock(tmp_path / "store"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """A process that opened the file before its holder removed it makes a new one."""
    real, opened = os.open, []

    def opens(path: Path, *arguments: int) -> int:
        descriptor = real(path, *arguments)
        opened.append(descriptor)
        if len(opened) == 1:
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", opens)
    with lock(tmp_path / "store"):
        assert len(opened) == 2
        assert (tmp_path / ".store.lock").exists()


def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch):
    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuses)
    with lock(tmp_path / "store"):
        pass


def test_a_lock_can_be_waited_for(tmp_path):
    order = []

    def second() -> None:
        with lock(tmp_path / "store", wait=True):
            order.append("second")

    with lock(tmp_path / "store"):
        other = threading.Thread(target=second)
        other.start()
        other.join(0.2)
        assert other.is_alive()
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]
    assert not list(tmp_path.iterdir())


def test_a_full_disk_does_not_keep_a_lock_from_being_held(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with lock(tmp_path / "store"), pytest.raises(LockedError, match="another process"), lock(tmp_path / "store"):
        pass
