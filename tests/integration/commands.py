"""Run the installed commands, and read their output files."""

from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import subprocess
import sys
from functools import cache
from importlib.metadata import entry_points
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from wandb.proto import wandb_internal_pb2

from relcon_lightning import cli

FEW_STEPS = [
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1",
    "data.batch_size=8",
    "callbacks.retrieval.windows=16",
]
TINY = [*FEW_STEPS, "compile=false", "callbacks.pictures=null"]
_STREAMS = ("stderr", "stdout")
_ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "OMP_NUM_THREADS": "1",
    "WANDB_MODE": "offline",
    "COLUMNS": "150",
}
SIMULATED = ["data=simulated", "data.source.participants=6", "data.source.minutes=0.2", "data.source.laps=2"]


def run(
    folder: Path,
    command: str,
    *arguments: str,
    code: int | tuple[int, ...] = 0,
    timeout: int = 300,
    variables: dict[str, str] | None = None,
) -> str:
    """Run a command of the installed package with additional environment variables, and check its exit code.

    Returns:
        Its combined output.
    """
    done = subprocess.run(
        [_program(command), *arguments],
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT, **(variables or {})},
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return _checked(done.stderr + done.stdout, done.returncode, code)


def fork(
    folder: Path,
    command: str,
    *arguments: str,
    code: int | tuple[int, ...] = 0,
    timeout: int = 300,
    variables: dict[str, str] | None = None,
) -> str:
    """Like :func:`run`, but faster: in a fork of a process that has imported everything that commands need.

    Use :func:`run` for tests of imports, threads or the end of a process.
    """
    with TemporaryDirectory() as said:
        environment = {**os.environ, **_ENVIRONMENT, **(variables or {})}
        process = warm().Process(target=_be, args=(folder, command, arguments, environment, Path(said)))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"{command} {' '.join(arguments)} took more than {timeout} s")
        return _checked("".join(Path(said, name).read_text() for name in _STREAMS), process.exitcode, code)


def _be(folder: Path, command: str, arguments: tuple[str, ...], variables: dict[str, str], said: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for descriptor, name in zip((2, 1), _STREAMS, strict=True):
        stream = (said / name).open("w", buffering=1)
        os.dup2(stream.fileno(), descriptor)
        setattr(sys, name, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest may run in the background
    sys.argv = [str(_program(command)), *arguments]
    multiprocessing.set_start_method(None, force=True)  # forget the start method of this fork
    [script] = entry_points(group="console_scripts", name=command)
    script.load()()


@cache
def warm() -> Any:
    """A context that forks processes from one that has imported everything that commands need."""
    context = multiprocessing.get_context("forkserver")
    commands = [f"relcon_lightning.cli.{path.stem}" for path in Path(cli.__path__[0]).glob("*.py")]
    context.set_forkserver_preload([*commands, "wandb.sdk.launch.inputs.internal"])  # each W&B run imports the last
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        forkserver.ensure_running()
    return context


def _program(command: str) -> Path:
    return Path(sys.executable).parent / command


def _checked(output: str, found: int | None, code: int | tuple[int, ...]) -> str:
    assert found in (code if isinstance(code, tuple) else (code,)), (found, output)
    return output


def wandb_records(file: Path) -> list[Any]:
    """The records of a W&B transaction log: LevelDB's log format after a header of seven bytes, protobuf inside."""
    content, position, whole, records = file.read_bytes(), 7, b"", []
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:  # no header starts in the last bytes of a block
            position += 32768 - position % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        whole += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(wandb_internal_pb2.Record.FromString(whole))  # type: ignore[attr-defined] # made at run time
            whole = b""
    return records
