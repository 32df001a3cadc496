"""Commands as processes of their own, which do not import everything anew."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from relcon_lightning.cli import commands

_PRELOADED = ("prepare", "pretrain", "evaluate")
_COMMANDS = {"relcon-prepare": "prepare", "relcon-pretrain": "pretrain", "relcon-eval": "evaluate"}


class Children:
    """Runs the commands of this package one after the other, each in a fork of a process that has imported them."""

    def __init__(self) -> None:
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([f"relcon_lightning.cli.{name}" for name in _PRELOADED])

    def run(self, command: str, arguments: Sequence[str], devices: int = 1) -> int:
        """Run one to its end; when this process is asked to end, so is the other one.

        Args:
            command: Such as ``relcon-eval``.
            arguments: Arguments on its command line.
            devices: Processes that train together: several are started with torchrun.

        Returns:
            Exit code.
        """
        if devices > 1:
            return subprocess.run([*torchrun(command, devices), *arguments], check=False).returncode
        process = self._context.Process(target=_be, args=(command, tuple(arguments)))
        process.start()
        try:
            process.join()
        finally:
            if process.is_alive():
                process.terminate()
                process.join()
        return int(process.exitcode)


def torchrun(command: str, devices: int) -> list[str]:
    """The words before the arguments of a command that several processes run together."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"),
        *("-m", f"relcon_lightning.cli.{_COMMANDS[command]}"),
    ]


def _be(command: str, arguments: tuple[str, ...]) -> None:
    sys.argv = [command, *arguments]
    multiprocessing.set_start_method(None, force=True)  # that of a process that was started otherwise
    getattr(commands, _COMMANDS[command])()
