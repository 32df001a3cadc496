"""Running the installed commands, and reading what they left."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

from wandb.proto import wandb_internal_pb2

TINY = [
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1",
    "data.batch_size=8",
    "callbacks.retrieval.windows=16",
]
SIMULATED = ["data=simulated", "data.source.participants=6", "data.source.minutes=0.2", "data.source.laps=2"]


def run(
    folder: Path,
    command: str,
    *arguments: str,
    code: int | tuple[int, ...] = 0,
    timeout: int = 300,
    variables: dict[str, str] | None = None,
) -> str:
    """Run a command of the installed package, with further environment variables, that ends with (one of) ``code``.

    Returns:
        Its combined output.
    """
    program = Path(sys.executable).parent / command
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline",
        "COLUMNS": "150",
        **(variables or {}),
    }
    done = subprocess.run(
        [program, *arguments], cwd=folder, env=environment, text=True, capture_output=True, timeout=timeout, check=False
    )
    output = done.stderr + done.stdout
    assert done.returncode in (code if isinstance(code, tuple) else (code,)), (done.returncode, output)
    return output


def wandb_records(file: Path) -> list[wandb_internal_pb2.Record]:
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
            records.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return records
