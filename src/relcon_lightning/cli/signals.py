"""Handle SIGTERM: clean up, and end with a separate exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType


def end_on_sigterm(code: int, message: str) -> None:
    """End this process at SIGTERM as at an exception: what is half written is removed, other processes are ended.

    Nothing is changed where somebody else listens already. While a run trains,
    :class:`~relcon_lightning.training.callbacks.LastCheckpoint` listens.

    Args:
        code: Exit code.
        message: Line to print.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return
    owner = os.getpid()

    def end(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        if os.getpid() != owner:  # a process that was forked
            os.kill(os.getpid(), signum)
        os.write(2, f"{message}\n".encode())  # a stream may be in the middle of a write of its own
        sys.exit(code)

    signal.signal(signal.SIGTERM, end)
