"""Two ranks against one process with the same windows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from relcon_lightning.augment import TwoDraws
from relcon_lightning.data import CohortStore
from relcon_lightning.data.datamodule import CandidateBatches
from relcon_lightning.data.sampling import CandidateSampler
from relcon_lightning.losses import log_ratio, nearest_positive, relative_contrastive
from relcon_lightning.methods import RelCon, SimCLR
from relcon_lightning.methods.distributed import gather
from relcon_lightning.nets import MotifDistance, SpectralDistance, small_resnet_1d
from tests.conftest import INFO, recordings

ANCHORS, RANKS, STEP = 64, 2, 5


def louder(x, generator):
    """The same on all ranks, another one each time."""
    return x * (1 + torch.rand(1, generator=generator, dtype=x.dtype))


def louder_by_axis(x, generator):
    """The same on all ranks, another direction each time."""
    return x * (1 + torch.rand(3, 1, generator=generator, dtype=x.dtype))


def relcon(distance=MotifDistance, **options):
    options = {"temperature": 0.1, "gather": True, **options}
    return RelCon(small_resnet_1d(), distance(), **options)


CASES = {
    "relcon": relcon,
    "spectral": partial(relcon, distance=SpectralDistance),
    "log_ratio": partial(relcon, loss=log_ratio),
    "nearest": partial(relcon, loss=nearest_positive),
    "relative, tau 0.01": partial(relcon, loss=relative_contrastive, temperature=0.01),
    "simclr": lambda: SimCLR(
        small_resnet_1d(), temperature=0.1, projection=(32, 16), views=TwoDraws(louder), gather=True
    ),
    "two views": partial(relcon, view=louder_by_axis, views=2, projection=(32, 16)),
    "two views, some pairs are all": partial(relcon, view=louder_by_axis, views=2, pairs=ANCHORS),
    "others alone": partial(relcon, within_user=False, augmentation=louder_by_axis),
    "two views of others alone": partial(relcon, within_user=False, view=louder_by_axis, views=2),
    "apart": partial(relcon, gather=False),
}


class Step(nn.Module):
    """Batch normalisation of a rank sees its own windows alone, so that it is left out of the comparison."""

    def __init__(self, case: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.method = CASES[case]().double().eval()

    def forward(self, batch):
        return self.method.loss(batch, torch.Generator().manual_seed(1), "train")


def batch_of(store, size, rank, ranks):
    sampler = CandidateSampler(CohortStore.open(store).recordings, [f"p{i}" for i in range(8)], 64, 3, size, seed=0)
    batch = CandidateBatches(CohortStore.open(store), sampler, rank, ranks)[STEP]
    return replace(batch, pool=batch.pool.double())


def on_rank(rank: int, folder: Path, case: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/sync", rank=rank, world_size=RANKS)
    take_step(rank, folder, case)
    distributed.destroy_process_group()


def take_step(rank: int, folder: Path, case: str) -> None:
    step = Step(case)
    replica = DistributedDataParallel(step)  # outliving its group it may hang
    loss = replica(batch_of(folder / "toy", ANCHORS // RANKS, rank, RANKS))
    loss.backward()
    torch.save({"loss": loss.detach(), "grads": gradients(step)}, folder / f"{rank}.pt")


def gradients(step):
    return {name: p.grad for name, p in step.named_parameters() if p.requires_grad}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    CohortStore.write(folder / "toy", recordings({f"p{i}": [2000] * 4 for i in range(8)}), INFO)
    return folder / "toy"


@pytest.mark.parametrize("case", [case for case in CASES if case != "apart"])
def test_two_ranks_that_gather_are_one_process_with_all_anchors(case, cohort, tmp_path):
    (tmp_path / "toy").symlink_to(cohort)
    spawn(on_rank, (tmp_path, case), RANKS)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(RANKS)]
    step = Step(case)
    loss = step(batch_of(cohort, ANCHORS, 0, 1))
    loss.backward()
    mean = sum(rank["loss"] for rank in ranks) / RANKS
    torch.testing.assert_close(mean, loss.detach(), rtol=1e-10, atol=1e-10)
    for found in ranks:
        torch.testing.assert_close(found["grads"], gradients(step), rtol=1e-8, atol=1e-10)


def test_without_gathering_each_rank_has_its_own_candidates(cohort, tmp_path):
    (tmp_path / "toy").symlink_to(cohort)
    spawn(on_rank, (tmp_path, "apart"), RANKS)
    alone = []
    for rank in range(RANKS):
        step = Step("apart")
        loss = step(batch_of(cohort, ANCHORS // RANKS, rank, RANKS))
        loss.backward()
        alone.append(gradients(step))
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt")["loss"], loss.detach(), rtol=1e-10, atol=1e-10)
    mean = {name: (alone[0][name] + alone[1][name]) / 2 for name in alone[0]}
    torch.testing.assert_close(torch.load(tmp_path / "0.pt")["grads"], mean, rtol=1e-8, atol=1e-10)


def test_one_process_gathers_nothing():
    x = torch.randn(3, 2)
    assert gather(x) is x
