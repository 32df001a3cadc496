from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product

import lightning as L
import pytest
import torch
from torch import nn

from relcon_lightning.augment import ContiguousMask, Negate
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CandidateDataModule
from relcon_lightning.errors import ConfigError
from relcon_lightning.losses import nearest_positive, relative_contrastive
from relcon_lightning.methods import DistanceLearning, RelCon
from relcon_lightning.methods.base import DRAWS, Stage, step_seed
from relcon_lightning.nets import MotifDistance, ResNet1d, SpectralDistance
from tests import oracles
from tests.margins import assert_above


def encoder() -> ResNet1d:
    return ResNet1d((8, 16), (1, 1), (3, 3))


def motif_distance(method: RelCon) -> MotifDistance:
    assert isinstance(method.distance, MotifDistance)
    return method.distance


def distance() -> MotifDistance:
    return MotifDistance(channels=16, kernel_size=7)


def batch(n: int = 6, c: int = 3, time: int = 64) -> CandidateBatch:
    g = torch.Generator().manual_seed(0)
    return CandidateBatch.of(
        torch.randn(n, 3, time, generator=g), torch.randn(n, c, 3, time, generator=g), torch.arange(n) // 2
    )


def loss(method: RelCon, content: CandidateBatch, stage: Stage = "train") -> torch.Tensor:
    return method.loss(content, torch.Generator().manual_seed(1), stage)


def test_distance_learning_minimises_the_mean_error_of_rebuilding_from_the_augmented_anchor():
    method = DistanceLearning(distance(), augmentation=Negate()).eval()
    content = batch()
    expected = ((method.distance(content["anchor"], -content["anchor"]) - content["anchor"]) ** 2).sum((1, 2)).mean()
    torch.testing.assert_close(loss(method, content), expected)


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_masked_reconstruction_rebuilds_the_masked_stretch_of_the_anchor_from_the_whole_window(share):
    """REBAR's task, one window at a time: the query is masked, the candidate is not, errors elsewhere do not count."""
    method = DistanceLearning(distance().double(), augmentation=ContiguousMask(share)).eval()
    anchor = batch()["anchor"].double()
    value = loss(method, CandidateBatch.of(anchor))
    masked = method.augmentation(anchor, torch.Generator().manual_seed(1))
    weights = {name: tensor.numpy() for name, tensor in method.distance.state_dict().items()}
    total = 0.0
    for whole, query in zip(anchor.numpy(), masked.numpy(), strict=True):
        hidden = (whole != query).all(0)
        assert hidden.sum() == round(share * 64)
        error = oracles.motif_reconstruction(weights, query, whole) - whole
        total += float((error[:, hidden] ** 2).sum())
    assert value.item() == pytest.approx(total / 6, rel=1e-9)


def test_relcon_is_the_loss_over_both_kinds_of_candidates():
    """Written out one anchor and one candidate at a time, from Eq. 5 to 7 of the paper."""
    torch.manual_seed(0)
    method = RelCon(encoder(), distance(), temperature=0.5).eval()
    content = batch()
    with torch.no_grad():
        z = nn.functional.normalize(method.encoder(content["anchor"]), dim=1).double()
        total = 0.0
        for i in range(6):
            others = [content["anchor"][j] for j in range(6) if j != i] + list(content["candidates"][i])
            d = [motif_distance(method).distance(content["anchor"][i : i + 1], o[None]).item() for o in others]
            s = [(z[i] @ nn.functional.normalize(method.encoder(o[None]), dim=1)[0].double()) / 0.5 for o in others]
            for dp, sp in zip(d, s, strict=True):
                farther = [sn.exp() for dn, sn in zip(d, s, strict=True) if dn > dp]
                total += float(-sp + torch.log(sp.exp() + sum(farther)))
    assert loss(method, content).item() == pytest.approx(total / 6, rel=1e-5)


def test_the_frozen_distance_ranks_without_dropout_gradient_or_update():
    """Trap: a distance put back in training mode drops attention weights and changes the ranking."""
    method = RelCon(encoder(), distance())
    method.train()
    assert method.training
    assert method.encoder.training
    assert not any(module.training for module in motif_distance(method).modules())
    loss(method, batch()).backward()
    assert all(p.grad is None for p in motif_distance(method).parameters())
    assert all(p.grad is not None for p in method.encoder.parameters())
    optimised = {id(p) for group in method.configure_optimizers().param_groups for p in group["params"]}
    assert optimised == {id(p) for p in method.encoder.parameters()}


def test_a_learning_rate_of_0_is_refused():
    with pytest.raises(ConfigError, match=r"model\.learning_rate=0: no weight would change"):
        RelCon(encoder(), distance(), optimizer=partial(torch.optim.Adam, lr=0)).configure_optimizers()


def test_within_user_off_replaces_the_candidates_by_an_augmented_anchor():
    torch.manual_seed(0)
    method = RelCon(encoder(), distance(), within_user=False, augmentation=Negate()).eval()
    content = batch()
    content = replace(content, participant=torch.arange(6))
    expected = RelCon(method.encoder, method.distance).eval()
    shown = CandidateBatch.of(content.anchor, -content["anchor"][:, None], content.participant)
    torch.testing.assert_close(loss(method, content), loss(expected, shown))
    content = replace(content, participant=torch.arange(6) // 2)
    torch.testing.assert_close(loss(method, content), loss(method, batch(c=0)))


def test_batch_candidates_off_uses_the_participants_own_alone():
    torch.manual_seed(0)
    method = RelCon(encoder(), distance(), batch_candidates=False).eval()
    content = batch()
    z = method.encoder(content["anchor"])
    zc = method.encoder(content["candidates"].flatten(0, 1)).view(6, 3, -1)
    s = torch.cosine_similarity(z[:, None], zc, dim=-1)
    torch.testing.assert_close(
        loss(method, content),
        relative_contrastive(s, method.distance.pairwise(content["anchor"], content["candidates"])),
    )


def test_other_losses_can_take_the_place():
    torch.manual_seed(0)
    method = RelCon(encoder(), distance(), loss=nearest_positive).eval()
    assert loss(method, batch()) < loss(RelCon(method.encoder, method.distance).eval(), batch())


def test_no_candidates_at_all_is_an_error():
    with pytest.raises(ConfigError, match=r"data\.n_candidates"):
        loss(RelCon(encoder(), distance(), batch_candidates=False), batch(c=0))


def trainer(path, steps, **options):
    return L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=path,
        **{"limit_val_batches": 0, "enable_checkpointing": False, **options},
    )


def data(store, **options):
    return CandidateDataModule(store.path, **{"window_s": 0.64, "batch_size": 8, "n_candidates": 2, **options})


def trained(store, path, steps=3, method=None, ckpt=None, **options):
    torch.manual_seed(0)
    method = method or RelCon(encoder(), distance(), seed=7)
    trainer(path, steps, **options).fit(method, data(store), ckpt_path=ckpt, weights_only=True)
    return method


def test_training_lowers_the_loss_of_both_methods(toy_store, tmp_path, training_seed):
    torch.manual_seed(training_seed)
    adam = partial(torch.optim.Adam, lr=5e-3)
    for method in (
        DistanceLearning(distance(), optimizer=adam),
        RelCon(
            encoder(), SpectralDistance(), temperature=0.1, optimizer=adam
        ),  # a random net's ranking is hard to learn
    ):
        module = data(toy_store)
        module.setup()
        content = next(iter(module.train_dataloader()))
        before = loss(method.train(), content).item()  # not eval(): running statistics change without training
        trained(toy_store, tmp_path, steps=60, method=method)
        method.log_values = lambda stage, **values: None  # the trainer has ended
        name = f"fall of the loss, {type(method).__name__}"
        assert_above((before - loss(method.train(), content).item()) / before, 0.03, name)


def test_one_seed_gives_one_result(toy_store, tmp_path):
    a, b = (trained(toy_store, tmp_path) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(toy_store, tmp_path):
    def learner():
        torch.manual_seed(0)
        return DistanceLearning(distance(), seed=3)

    whole = trained(toy_store, tmp_path, steps=6, method=learner())
    first = trainer(tmp_path, 3, enable_checkpointing=True)
    first.fit(learner(), data(toy_store))
    first.save_checkpoint(tmp_path / "at3.ckpt")
    resumed = trained(toy_store, tmp_path, steps=6, method=learner(), ckpt=tmp_path / "at3.ckpt")
    assert all(torch.equal(x, y) for x, y in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_the_loss_per_candidate_is_logged_of_a_sum_and_of_no_other_loss(monkeypatch):
    content = batch()
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(RelCon, "log_values", lambda self, stage, **values: logged.update(values))
    for kind in (relative_contrastive, partial(relative_contrastive)):
        logged.clear()
        method = RelCon(encoder(), distance(), loss=kind).eval()
        found = loss(method, content)
        candidates = content["candidates"].shape[1] + len(content["anchor"]) - 1
        assert logged["loss_per_candidate"].item() == pytest.approx(found.item() / candidates)
    logged.clear()
    loss(RelCon(encoder(), distance(), loss=nearest_positive).eval(), content)
    assert not logged


def test_each_step_rank_stage_and_run_has_its_own_random_numbers():
    keys = list(product((0, 1, 2**32, -1), (0, 1, 2, 10**6), range(3), ("train", "val")))
    assert len({step_seed(*key) for key in keys}) == len(keys)
    assert (step_seed(0, 0, 0, "train"), step_seed(3, 7, 1, "val"), DRAWS) == (
        15793235383387715774,
        14092163944249920211,
        2,
    )  # resumed runs depend on it: increase DRAWS with any change
