"""Handle SIGTERM: clean up, and end with a separate exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType


def end_on_sigterm(code: int, message: str) -> None:
    """Let SIGTERM end this process like an exception: unfinished files are removed, and child processes are ended.

    An existing handler is kept. During training, :class:`~relcon_lightning.training.callbacks.LastCheckpoint` handles
    the signal.

    Args:
        code: Exit code.
        message: Line to print.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return
    owner = os.getpid()

    def end(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        if os.getpid() != owner:  # this is a forked process
            os.kill(os.getpid(), signum)
        os.write(2, f"{message}\n".encode())  # print could interrupt a write to the same stream
        sys.exit(code)

    signal.signal(signal.SIGTERM, end)
