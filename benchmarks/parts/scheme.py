"""Source of candidates: drawn for each anchor as in the paper, or the other anchors of its participant.

With drawn candidates, c + 1 windows are embedded per anchor; otherwise one. Each step reads its own batch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import Machine
from benchmarks.material import RATE, Size, cohort
from benchmarks.parts.step import loss_of, make_method, train_step
from benchmarks.timing import Row, Variant, compare
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CandidateDataModule
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import ResNet1d


def batches(
    folder: Path, size: Size, anchors: int, candidates: int, participants: int | None
) -> Iterator[CandidateBatch]:
    """Batches from the store, without end."""
    data = CandidateDataModule(
        folder,
        window_s=size.time / RATE,
        n_candidates=candidates,
        batch_size=anchors,
        participants_per_batch=participants,
        ratios=(6, 1, 1),
    )
    data.setup()
    return iter(data.train_dataloader())


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for the paper's encoder and for the small one, in float32."""
    with tempfile.TemporaryDirectory() as folder:
        cohort(Path(folder) / "cohort", size)
        named = (("the paper's", size.encoder), ("the small", size.small_encoder))
        return [
            row for name, encoder in named for row in _of_encoder(name, encoder, Path(folder) / "cohort", size, machine)
        ]


def _of_encoder(name: str, make: Callable[[], ResNet1d], folder: Path, size: Size, machine: Machine) -> list[Row]:
    torch.manual_seed(0)
    encoder = make()
    schemes: list[tuple[str, int, int, int | None]] = [("drawn for each anchor", size.batch, size.candidates, None)]
    schemes += [("other anchors", anchors, 0, participants) for anchors, participants in size.grouped]
    variants = []
    for scheme, anchors, candidates, participants in schemes:
        source, method = batches(folder, size, anchors, candidates, participants), make_method(size, encoder)
        within = candidates if participants is None else anchors // participants - 1
        others = anchors - 1 if participants is None else anchors - anchors // participants
        if participants is not None:
            _check_candidates(method, next(source), within)
        label = f"{scheme}: {anchors} anchors, {within} own and {others} other candidates"
        run = train_step(method, loss_of(method, torch.float32), lambda source=source: next(source))  # type: ignore[misc]
        variants.append(Variant(label, run, items=anchors))
    return compare(f"a step, {name} encoder", variants, machine, size.rounds, unit="anchors/s")


@torch.no_grad()
def _check_candidates(method: RelCon, batch: CandidateBatch, within: int) -> None:
    """Check that each anchor has ``within`` candidates of its own participant."""
    found: Tensor = method.rank(batch, torch.Generator()).within.sum(1)
    assert (found == within).all(), f"expected {within} candidates of the anchor's participant, found {found.tolist()}"
