from __future__ import annotations

from itertools import pairwise
from math import cos, pi

import lightning as L
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import ModelCheckpoint

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CandidateDataModule
from relcon_lightning.methods import BYOL
from relcon_lightning.nets import ResNet1d
from tests.oracles import cosine


def made(**options) -> BYOL:
    torch.manual_seed(0)
    return BYOL(ResNet1d((8, 16), (1, 1), (3, 3)), projection=(12, 6), **options)


def batch(n: int = 6) -> CandidateBatch:
    x = torch.randn(n, 3, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return CandidateBatch.of(x, x[:, None])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def online(method: BYOL) -> dict[str, torch.Tensor]:
    """Parameters of encoder and projector by the names that the target gives them."""
    named = [(f"0.{k}", p) for k, p in method.encoder.named_parameters()]
    named += [(f"1.{k}", p) for k, p in method.projector.named_parameters()]
    return {k: p.detach().clone() for k, p in named}


@pytest.fixture
def byol() -> BYOL:
    """Ready for a loss outside of a trainer, with a target that differs from the online net."""
    method = made().double().train()
    method.log_values = lambda stage, **values: None
    with torch.no_grad():
        for p in method.target.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return method


def views(method: BYOL) -> list[torch.Tensor]:
    g = generator()
    return [method.augmentation(batch()["anchor"], g) for _ in range(2)]


def test_loss_is_the_squared_distance_of_unit_vectors_both_ways_written_out(byol):
    first, second = views(byol)
    p1, p2 = (byol.predictor(byol.projector(byol.encoder(v))).detach().numpy() for v in (first, second))
    t1, t2 = (byol.target(v).numpy() for v in (first, second))
    total = sum(4 - 2 * cosine(p1[i], t2[i]) - 2 * cosine(p2[i], t1[i]) for i in range(6)) / 6
    assert byol.loss(batch(), generator(), "train").item() == pytest.approx(total, rel=1e-9)


def test_the_target_begins_as_a_copy_and_is_neither_trained_nor_shared():
    byol = made()
    for name, p in byol.target.named_parameters():
        assert torch.equal(p, online(byol)[name])
        assert not p.requires_grad
    shared = {p.data_ptr() for p in byol.target.parameters()} & {p.data_ptr() for p in byol.encoder.parameters()}
    assert shared == set()
    optimised = {id(p) for group in byol.configure_optimizers().param_groups for p in group["params"]}
    assert optimised == {id(p) for part in (byol.encoder, byol.projector, byol.predictor) for p in part.parameters()}
    kept = byol.state_dict()
    assert {f"target.{k}" for k in byol.target.state_dict()} <= kept.keys()


def test_the_gradient_is_that_of_a_fixed_target(byol):
    first, second = views(byol)
    t1, t2 = (byol.target(v).detach() for v in (first, second))
    p1, p2 = (byol.predictor(byol.projector(byol.encoder(v))) for v in (first, second))
    expected = (4 - 2 * torch.cosine_similarity(p1, t2) - 2 * torch.cosine_similarity(p2, t1)).mean()
    learned = [p for p in byol.parameters() if p.requires_grad]
    loss = byol.loss(batch(), generator(), "train")
    torch.testing.assert_close(torch.autograd.grad(loss, learned), torch.autograd.grad(expected, learned))


@given(momentum=st.floats(0, 1), seed=st.integers(0, 99))
def test_one_update_is_the_moving_average(momentum, seed):
    byol = made()
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in [*byol.encoder.parameters(), *byol.projector.parameters()]:
            p.add_(torch.randn_like(p))
    before, fast = {k: p.clone() for k, p in byol.target.named_parameters()}, online(byol)
    byol.follow(momentum)
    for name, p in byol.target.named_parameters():
        torch.testing.assert_close(p, momentum * before[name] + (1 - momentum) * fast[name], rtol=1e-4, atol=1e-5)
        assert torch.equal(online(byol)[name], fast[name])


def test_the_momentum_rises_to_one_along_a_cosine():
    byol = made(momentum=0.9)
    assert byol.momentum_at(0) == pytest.approx(0.9)
    assert byol.momentum_at(0.5) == pytest.approx(0.95)
    assert byol.momentum_at(1) == pytest.approx(1)
    rising = [byol.momentum_at(k / 20) for k in range(21)]
    assert rising == sorted(rising)


def fit(method: BYOL, store, path, steps: int, ckpt=None, **options) -> BYOL:
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=path,
        **{"enable_checkpointing": False, **options},
    )
    data = CandidateDataModule(store.path, window_s=0.64, batch_size=8, n_candidates=0)
    trainer.fit(method, data, ckpt_path=ckpt, weights_only=True)
    return method


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_target_follows_after_each_step_of_the_optimizer(accumulate, toy_store, tmp_path):
    """The average is replayed from the online weights seen after each step; trap: once a batch instead."""
    byol = made(momentum=0.9)
    expected = {k: p.clone() for k, p in byol.target.named_parameters()}
    seen, momenta, follow = [], [], byol.follow

    def spy(momentum):
        seen.append(online(byol))
        momenta.append(momentum)
        follow(momentum)

    byol.follow = spy
    fit(byol, toy_store, tmp_path, 3, accumulate_grad_batches=accumulate)
    assert momenta == pytest.approx([1 - 0.1 * (cos(pi * k / 3) + 1) / 2 for k in range(3)])
    name = "0.stem.0.weight"
    assert not any(torch.equal(a[name], b[name]) for a, b in pairwise(seen))
    for fast, momentum in zip(seen, momenta, strict=True):
        expected = {k: momentum * p + (1 - momentum) * fast[k] for k, p in expected.items()}
    torch.testing.assert_close(dict(byol.target.named_parameters()), expected)
    assert all(torch.equal(p, seen[-1][k]) for k, p in online(byol).items())


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_run_ends_with_the_target_of_an_uninterrupted_one(toy_store, tmp_path):
    saves = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=2, save_top_k=-1)
    whole = fit(made(), toy_store, tmp_path, 4, callbacks=[saves], enable_checkpointing=True)
    resumed = fit(made(), toy_store, tmp_path, 4, ckpt=tmp_path / "step=2.ckpt")
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
