"""What holds for each method that trains an encoder, built from the configuration that ships."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.cli.app import config_folder
from relcon_lightning.methods.base import EmbeddingMethod
from relcon_lightning.nets import MotifDistance
from relcon_lightning.runs.checkpoint import load_encoder
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.training.callbacks import Provenance
from tests.margins import assert_above

METHODS = ["relcon", "rebar", "simclr", "augpred", "simsiam", "byol", "mae", "cpc", "autoencoder"]
DISTANCE = {"_target_": "relcon_lightning.nets.MotifDistance", "channels": 8, "kernel_size": 7}


def composed(name: str, store, *overrides: str):
    """The configuration of a small run on ``store``."""
    folder = store.path.parent
    weights = {f"distance.{k}": v for k, v in MotifDistance(8, 7).state_dict().items()}
    config = {"model": {"name": "distance", "method": {"distance": DISTANCE}}}
    torch.save({"state_dict": weights, KEY: {"format": FORMAT, "config": config}}, folder / "d.ckpt")
    own = [f"model.distance_checkpoint={folder / 'd.ckpt'}"] if name in ("relcon", "rebar") else []
    small = [
        "trainer=cpu",
        "trainer.max_steps=2",
        "data.batch_size=8",
        "data.window_s=0.64",
        "data.participants_per_batch=2",
    ]
    data = [f"data.root={folder}", "data.name=toy", "data.val_batches=1"]
    small += ["model.method.patches=4"] if name == "cpc" else []  # a patch is a window of the encoder's
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return compose("pretrain", ["run_dir=here", f"model={name}", *own, *small, *data, *overrides])


def built(config, seed: int = 0) -> tuple[EmbeddingMethod, CandidateBatch]:
    """The method in evaluation mode and a training batch."""
    torch.manual_seed(seed)
    data = instantiate(config.data.datamodule)
    data.setup()
    return instantiate(config.model.method).eval(), next(iter(data.train_dataloader()))


def loss(method: EmbeddingMethod, batch, seed: int = 0) -> torch.Tensor:
    return method.loss(batch, torch.Generator().manual_seed(seed), "train")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore")
def test_two_steps_of_training_and_the_encoder_comes_back(name, toy_store, tmp_path):
    config = composed(name, toy_store)
    L.seed_everything(0, verbose=False)
    method = instantiate(config.model.method)
    before = {k: v.clone() for k, v in method.named_parameters()}
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=2,
        max_epochs=1,
        val_check_interval=2,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Provenance(OmegaConf.to_container(config, resolve=True))],
        default_root_dir=tmp_path,
    )
    trainer.fit(method, instantiate(config.data.datamodule))
    assert {"train/loss", "val/loss"} <= trainer.callback_metrics.keys()
    assert trainer.callback_metrics["val/loss"].isfinite()
    same = {k for k, v in method.named_parameters() if torch.equal(v, before[k])}
    assert same == {k for k, v in method.named_parameters() if k.startswith("distance.")}
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    encoder = load_encoder(tmp_path / "end.ckpt")
    windows = torch.randn(2, 3, 64)
    assert torch.equal(encoder(windows), method.encoder.eval()(windows))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seconds", [0.64, 2.56, 2.5])
def test_windows_of_any_length_do(name, seconds, toy_store):
    method, batch = built(composed(name, toy_store, f"data.window_s={seconds}"))
    assert batch["anchor"].shape == (8, 3, round(seconds * 100))
    assert loss(method, batch).shape == ()
    assert loss(method, batch).isfinite()
    distances = method.ranking(batch["anchor"])
    assert distances.shape == (8, 8)
    assert distances.diagonal().abs().max() < 1e-5


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_is_fixed_by_the_generator_and_changes_no_input(name, toy_store):
    """Torch's global generator is moved between the calls: no method may draw from it."""
    method, batch = built(composed(name, toy_store))
    copy = {key: value.clone() for key, value in batch.tensors().items()}
    first = loss(method, batch)
    torch.rand(3)
    assert torch.equal(loss(method, batch), first)
    state = torch.random.get_rng_state()
    loss(method, batch, seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(batch[key], value) for key, value in copy.items())
    draws = name not in ("cpc", "autoencoder")
    assert (loss(method, batch, seed=1) != first) == draws


@pytest.mark.parametrize("name", METHODS)
def test_what_learns_gets_a_gradient_and_nothing_else_does(name, toy_store):
    method, batch = built(composed(name, toy_store))
    loss(method.train(), batch).backward()
    frozen = {k for k, p in method.named_parameters() if not p.requires_grad}
    assert {k.split(".")[0] for k in frozen} == {"relcon": {"distance"}, "rebar": {"distance"}, "byol": {"target"}}.get(
        name, set()
    )
    gradients = {k: p.grad for k, p in method.named_parameters()}
    assert all(gradients[k] is None for k in frozen)
    assert all(gradients[k] is not None for k in gradients.keys() - frozen)
    # Biases before a BatchNorm have none by nature; every weight has.
    assert [k for k, g in gradients.items() if k not in frozen and g.dim() > 1 and not g.any()] == []


@pytest.mark.parametrize("name", METHODS)
def test_steps_on_one_batch_lower_its_loss(name, toy_store, training_seed):
    method, batch = built(composed(name, toy_store), training_seed)
    method.train()
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 1e-3)
    losses = []
    for _ in range(12):
        torch.manual_seed(training_seed)
        losses.append(loss(method, batch))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert_above((losses[0] - losses[-1]) / losses[0].abs(), 0.1, "fall of the loss")


def test_the_list_is_complete():
    shipped = {path.stem for path in (Path(config_folder()) / "model").glob("*.yaml")}
    assert set(METHODS) == shipped - {"base", "distance"}


def hostile(kind: str, shape: torch.Size) -> torch.Tensor:
    """Windows ``(..., 3, T)`` that a broken or idle sensor gives."""
    g = torch.Generator().manual_seed(1)
    return {
        "still": torch.tensor([0.0, 0.0, 1.0])[:, None].expand(shape).clone(),
        "zero": torch.zeros(shape),
        "huge": 1e4 * torch.randn(shape, generator=g),
        "tiny": 1e-8 * torch.randn(shape, generator=g),
        "the same": torch.randn(shape[-2:], generator=g).expand(shape).clone(),
        "one spike": torch.zeros(shape).index_fill_(-1, torch.tensor([3]), 16.0),
    }[kind]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["still", "zero", "huge", "tiny", "the same", "one spike"])
@pytest.mark.parametrize("name", [*METHODS, "distance"])
@pytest.mark.filterwarnings("ignore")
def test_loss_and_gradient_stay_finite_whatever_the_sensor_gives(name, kind, precision, toy_store):
    method, batch = built(composed(name, toy_store, "compile=false", "data.n_candidates=2"))
    for part in ("anchor", "candidates"):
        batch[part].copy_(hostile(kind, batch[part].shape))
    method.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        value = loss(method, batch)
    value.backward()
    assert value.isfinite()
    bad = [k for k, p in method.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert not bad
