"""Cost of communication between ranks, measured with two processes on the CPU (gloo).

``python -m benchmarks.ranks`` runs the same RelCon step alternately with each setting of ``gather`` and of DDP, and
counts the messages. Processes on one machine show how many bytes are sent and the cost of bookkeeping, but not the
speed of a network.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.machine import name as processor
from benchmarks.material import TOY, Size, toy_encoder, windows
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import MotifDistance, SpectralDistance, resnet34_1d, small_resnet_1d

ENCODERS = {"resnet34": resnet34_1d, "small": small_resnet_1d, "toy": toy_encoder}
DISTANCES = {"motif": MotifDistance, "spectral": SpectralDistance}


@dataclass(frozen=True)
class Setting:
    """One way to run a step.

    Attributes:
        name: Name of the row in the table.
        gather: True: windows of the other rank are candidates.
        pairs: Number of other windows of the batch that are candidates; None: all.
        options: Arguments of DDP.
    """

    name: str
    gather: bool = False
    pairs: int | None = None
    options: tuple[tuple[str, Any], ...] = ()


SETTINGS = (
    Setting("`gather=false`"),
    Setting("`gather=true`", gather=True),
    Setting("`gather=true`, `pairs` = anchors per rank", gather=True, pairs=0),
    Setting("`gather=false`, `static_graph`", options=(("static_graph", True),)),
    Setting("`gather=false`, `gradient_as_bucket_view`", options=(("gradient_as_bucket_view", True),)),
    Setting("`gather=false`, `bucket_cap_mb=4`", options=(("bucket_cap_mb", 4),)),
    Setting("`gather=false`, `find_unused_parameters`", options=(("find_unused_parameters", True),)),
)


@dataclass(frozen=True)
class Row:
    """Cost of a step of one rank with a setting.

    Attributes:
        name: Name of the setting.
        seconds: Duration of each step in seconds.
        buckets: Number of messages with gradients.
        gradients: Number of bytes in these messages.
        gathered: Number of bytes that ``gather`` sends: windows, embeddings and their gradients.
    """

    name: str
    seconds: list[float]
    buckets: int
    gradients: int
    gathered: int


class _Messages:
    """Counts the messages that this rank sends.

    Attributes:
        buckets: Number of messages with gradients.
        gradients: Number of bytes in these messages.
        all: Number of bytes in all messages, including those of ``gather``.
    """

    def __init__(self) -> None:
        self.reset()
        for name, sent in (("all_gather", 1), ("all_reduce", 0)):
            setattr(distributed, name, partial(self._count, getattr(distributed, name), sent))

    def reset(self) -> None:
        self.buckets, self.gradients, self.all = 0, 0, 0

    def bucket(self, state, bucket):  # type: ignore[no-untyped-def]  # DDP refuses annotations that are strings
        """Count a bucket, and reduce it as DDP does."""
        self.buckets += 1
        self.gradients += bucket.buffer().nbytes
        world = distributed.group.WORLD
        assert world is not None
        return allreduce_hook(world, bucket)

    def _count(self, collective: Callable[..., Any], sent: int, *args: Any, **kwargs: Any) -> Any:
        self.all += args[sent].nbytes
        return collective(*args, **kwargs)


class _Loss(nn.Module):
    """The loss as a module that DDP can wrap."""

    def __init__(self, method: RelCon) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: CandidateBatch) -> Tensor:
        return self.method.loss(batch, torch.Generator().manual_seed(0), "val")


class _Step:
    """A training step with a setting."""

    def __init__(self, setting: Setting, size: Size, encoder: str, distance: str, messages: _Messages) -> None:
        torch.manual_seed(0)
        pairs = size.batch if setting.pairs == 0 else setting.pairs
        method = RelCon(ENCODERS[encoder](), DISTANCES[distance](), gather=setting.gather, pairs=pairs)
        method.log_values = lambda *args, **values: None  # type: ignore[method-assign] # there is no Trainer
        self.net = DistributedDataParallel(_Loss(method), **dict(setting.options))
        self.net.register_comm_hook(None, messages.bucket)
        self.optimizer = torch.optim.AdamW([one for one in method.parameters() if one.requires_grad], 1e-3)
        rank = distributed.get_rank()
        candidates = windows(size, size.batch * size.candidates, seed=rank + 100)
        self.batch = CandidateBatch.of(
            windows(size, size.batch, seed=rank),
            candidates.unflatten(0, (size.batch, -1)),
            torch.arange(size.batch) + rank * size.batch,
        )

    def run(self) -> None:
        self.optimizer.zero_grad()
        self.net(self.batch).backward()
        self.optimizer.step()


def _measure(rank: int, ranks: int, meeting: str, size: Size, encoder: str, distance: str, result: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    messages = _Messages()
    steps = [_Step(setting, size, encoder, distance, messages) for setting in SETTINGS]
    for step in steps:  # DDP reorders its buckets after the first step
        step.run()
        step.run()
    seconds: list[list[float]] = [[] for _ in SETTINGS]
    sent: list[tuple[int, int, int]] = []
    for _ in range(size.rounds):
        sent.clear()
        for step, own in zip(steps, seconds, strict=True):
            messages.reset()
            distributed.barrier()
            begin = time.perf_counter()
            step.run()
            own.append(time.perf_counter() - begin)
            sent.append((messages.buckets, messages.gradients, messages.all - messages.gradients))
    if rank == 0:
        rows = [Row(one.name, own, *counts) for one, own, counts in zip(SETTINGS, seconds, sent, strict=True)]
        Path(result).write_text(json.dumps([asdict(row) for row in rows]))
    distributed.barrier()
    os._exit(0)  # seven DDP models that outlive their process group can block the end of a process


def measure(size: Size, encoder: str, distance: str, ranks: int = 2) -> list[Row]:
    """Measure all settings."""
    with tempfile.TemporaryDirectory() as folder:
        result, meeting = str(Path(folder) / "rows.json"), str(Path(folder) / "meeting")
        spawn(_measure, (ranks, meeting, size, encoder, distance, result), nprocs=ranks)
        return [Row(**row) for row in json.loads(Path(result).read_text())]


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, compared with the first."""
    lines = [
        "| | ms per step | ratio | gradient messages | MB of gradients | MB of windows and embeddings |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = statistics.median(a / b for a, b in zip(row.seconds, rows[0].seconds, strict=True))
        lines.append(
            f"| {row.name} | {1000 * statistics.median(row.seconds):.0f} | {ratio:.2f} | {row.buckets} "
            f"| {row.gradients / 1e6:.2f} | {row.gathered / 1e6:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", choices=list(ENCODERS), default="small")
    parser.add_argument("--distance", choices=list(DISTANCES), default="motif")
    parser.add_argument("--anchors", type=int, default=16)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="a toy, to show in seconds that it works")
    options = parser.parse_args()
    if options.small:
        size, options.encoder = TOY, "toy"
    else:
        size = Size(batch=options.anchors, candidates=options.candidates, rounds=options.rounds)
    print(
        f"2 processes with one thread each, {size.batch} anchors with {size.candidates} candidates per process, "
        f"{size.time} samples, encoder {options.encoder}, {options.distance} distance; median of {size.rounds} steps; "
        f"{processor()}.\n"
    )
    print(table(measure(size, options.encoder, options.distance)))


if __name__ == "__main__":
    main()
