"""A batch is one tensor: its parts are views, and it moves and converts as a whole."""

from __future__ import annotations

import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.plugins.precision import DoublePrecision
from torch.utils.data._utils.pin_memory import pin_memory

from relcon_lightning.batch import CandidateBatch


def parts(c: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 8, generator=g), torch.randn(4, c, 3, 8, generator=g)


@pytest.mark.parametrize("c", [0, 1, 3])
def test_anchors_and_candidates_are_views_of_one_tensor(c):
    anchor, candidates = parts(c)
    batch = CandidateBatch.of(anchor, candidates)
    assert torch.equal(batch.anchor, anchor)
    assert torch.equal(batch.candidates, candidates)
    assert torch.equal(batch.windows, torch.cat([anchor[:, None], candidates], 1))
    assert len(batch) == 4
    assert batch.anchor.is_contiguous()
    assert batch.candidates.is_contiguous()
    batch.pool.zero_()
    assert not batch.anchor.any()
    assert not batch.candidates.any()


def test_tensors_are_found_by_name_and_others_are_refused():
    batch = CandidateBatch.of(*parts())
    assert torch.equal(batch["candidates"], batch.candidates)
    assert batch.places is None
    with pytest.raises(KeyError, match="start; a batch has anchor, candidates, participant"):
        batch["start"]
    known = CandidateBatch.of(*parts(), recording=torch.zeros(4, 3), start=torch.ones(4, 3))
    assert known.places.shape == (4, 3, 2)
    assert list(known.tensors()) == ["anchor", "candidates", "participant", "recording", "start"]


def test_lightning_moves_all_of_it():
    batch = CandidateBatch.of(*parts(), recording=torch.zeros(4, 3))
    moved = move_data_to_device(batch, torch.device("meta"))
    assert {value.device.type for value in moved.tensors().values()} == {"meta"}
    assert moved.candidates.shape == batch.candidates.shape
    assert batch.pool.device.type == "cpu"


def test_another_precision_converts_the_windows_alone():
    batch = DoublePrecision().convert_input(CandidateBatch.of(*parts()))
    assert batch.candidates.dtype == torch.float64
    assert batch.participant.dtype == torch.int64


def test_the_dataloader_pins_all_of_it(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(x.shape) or x)
    batch = pin_memory(CandidateBatch.of(*parts(), recording=torch.zeros(4, 3)))
    assert isinstance(batch, CandidateBatch)
    assert pinned == [(12, 3, 8), (4,), (4, 3)]
