"""Neighbours on two ranks that gather: as one process with the same windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.losses import nearest_and_relative
from relcon_lightning.methods import Rebar
from tests.methods.neighbours import batch, loss, made

RANKS, ANCHORS = 2, 8


def louder(x, generator):
    """The same on all ranks, another direction each time."""
    return x * (1 + torch.rand(3, 1, generator=generator, dtype=x.dtype))


CASES = {
    "relcon": {"projection": (12, 5), "view": louder},
    "nearest and relative": {"loss": nearest_and_relative},
    "some pairs are all": {"pairs": 2 * ANCHORS - 2},
    "rebar": {"kind": Rebar},
    "rebar, weighted": {"kind": Rebar, "temporal_weight": 0.3},
}
RUNS = [(case, placed) for case in CASES for placed in (True, False)]


class Step(nn.Module):
    def __init__(self, case: str) -> None:
        super().__init__()
        self.method = made(gather=True, **CASES[case])

    def forward(self, batch):
        return loss(self.method, batch)


def whole_batch(placed: bool):
    people = [0, 0, 1, 1, 0, 1, 2, 2]
    starts = [[i * 37, i * 37 + 70] for i in range(ANCHORS)]
    content = batch(people, starts, [[person, person] for person in people])
    return content if placed else replace(content, start=None, recording=None)


def part_of(content, rank):
    mine = slice(rank * ANCHORS // RANKS, (rank + 1) * ANCHORS // RANKS)
    places = [None if of is None else of[mine] for of in (content.recording, content.start)]
    return CandidateBatch.of(
        content["anchor"][mine], content["candidates"][mine], content["participant"][mine], *places
    )


def gradients(step):
    return {name: p.grad for name, p in step.named_parameters() if p.requires_grad}


def take_step(rank: int, folder: Path, name: str, case: str, placed: bool) -> None:
    step = Step(case)
    replica = DistributedDataParallel(step)  # outliving its group it may hang
    value = replica(part_of(whole_batch(placed), rank))
    value.backward()
    torch.save({"loss": value.detach(), "grads": gradients(step)}, folder / f"{name}-{rank}.pt")


def on_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/sync", rank=rank, world_size=RANKS)
    for case, placed in RUNS:
        take_step(rank, folder, f"{case}-{placed}", case, placed)
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """Folder with loss and gradients of both ranks in all cases."""
    folder = tmp_path_factory.mktemp("ranks")
    spawn(on_rank, (folder,), RANKS)
    return folder


@pytest.mark.parametrize(("case", "placed"), RUNS)
def test_two_ranks_that_gather_are_one_process_with_all_anchors(case, placed, two_ranks):
    ranks = [torch.load(two_ranks / f"{case}-{placed}-{rank}.pt") for rank in range(RANKS)]
    step = Step(case)
    value = step(whole_batch(placed))
    value.backward()
    mean = sum(rank["loss"] for rank in ranks) / RANKS
    torch.testing.assert_close(mean, value.detach(), rtol=1e-10, atol=1e-10)
    assert ranks[0]["loss"] != ranks[1]["loss"]
    for found in ranks:
        torch.testing.assert_close(found["grads"], gradients(step), rtol=1e-8, atol=1e-10)
