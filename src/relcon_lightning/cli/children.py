"""Run commands in separate processes that need not import everything again."""

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
    """Runs commands of this package in sequence, each in a fork of a process that has imported them."""

    def __init__(self) -> None:
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([f"relcon_lightning.cli.{name}" for name in _PRELOADED])

    def run(self, command: str, arguments: Sequence[str], devices: int = 1) -> int:
        """Run a command to its end. A request to stop this process also stops the command.

        Args:
            command: Name of the command, such as ``relcon-eval``.
            arguments: Arguments of the command.
            devices: Number of processes that train together; several are started with torchrun.

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
    """Start of the command line that runs a command with torchrun in several processes."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"),
        *("-m", f"relcon_lightning.cli.{_COMMANDS[command]}"),
    ]


def _be(command: str, arguments: tuple[str, ...]) -> None:
    sys.argv = [command, *arguments]
    multiprocessing.set_start_method(None, force=True)  # forget the start method of this fork
    getattr(commands, _COMMANDS[command])()
