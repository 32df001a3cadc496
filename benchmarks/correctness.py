"""Compare bfloat16 with float64: the motif distance, the loss, and the loss of every method."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.bench import Bench, Values
from benchmarks.material import trained_distance
from benchmarks.parts.loss import looped_loss
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.cli.app import config_folder
from relcon_lightning.losses import relative_contrastive
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY

METHODS = ("relcon", "rebar", "simclr", "augpred", "simsiam", "byol", "mae", "cpc", "autoencoder")
LEAST_AGREEMENT = 0.99  # Spearman's rho of bfloat16 distances with float64
LOSS_ERROR = 0.05  # maximum relative error of a method's loss in bfloat16


def correctness(bench: Bench) -> Values:
    """Distance, loss and the loss of every method in bfloat16 against float64."""
    return {"distance": _distance_error(bench), "loss": _loss_error(bench), "methods": _method_errors(bench)}


@torch.no_grad()
def _distance_error(bench: Bench) -> Values:
    batch = bench.batch()
    anchors, candidates = batch.anchor[:8], batch.candidates[:8]
    exact_net = copy.deepcopy(trained_distance(bench.size)).double()
    exact = exact_net.pairwise(anchors.double().cpu(), candidates.double().cpu())
    found: Values = {}
    for name, fused in bench.ways.items():
        with bench.bfloat16():
            half = bench.distance(fused).pairwise(anchors, candidates).double().cpu()
        single = bench.distance(fused).pairwise(anchors, candidates).double().cpu()
        rho = float(np.mean([spearmanr(own, true).statistic for own, true in zip(half, exact, strict=True)]))
        assert rho >= LEAST_AGREEMENT, f"{name}: Spearman's rho of bfloat16 distances with float64 is {rho:.4f}"
        error = float(((single - exact).abs() / exact).max())
        assert error < 1e-2, f"{name}: float32 distances are off by {error:.2g}"
        found[name] = {"float32_relative_error": error, "bfloat16_rank_agreement": rho}
    return found


def _loss_error(bench: Bench) -> Values:
    count = bench.size.candidates + bench.size.loss_batch - 1
    generator = torch.Generator().manual_seed(0)
    similarities = 2 * torch.rand(bench.size.loss_batch, count, generator=generator) - 1
    distances = torch.rand(bench.size.loss_batch, count, generator=generator)

    def of(loss: Callable[[Tensor, Tensor], Tensor], s: Tensor, d: Tensor) -> tuple[float, Tensor]:
        s = s.clone().requires_grad_()
        value = loss(s, d)
        return float(value.detach()), torch.autograd.grad(value, s)[0].double().cpu()

    exact, gradient = of(looped_loss, similarities.double(), distances.double())
    with bench.bfloat16():
        found, own = of(relative_contrastive, similarities.to(bench.device), distances.to(bench.device))
    error, gradient_error = abs(found / exact - 1), float((own - gradient).abs().max() / gradient.abs().max())
    assert max(error, gradient_error) < 1e-4, f"the loss is off by {error:.2g}, its gradient by {gradient_error:.2g}"
    return {"relative_error": error, "gradient_relative_error": gradient_error}


def _method_errors(bench: Bench) -> Values:
    """Relative error of each method's loss with default settings and the same random numbers in both precisions."""
    found: Values = {}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "distance.ckpt"
        method = {"distance": OmegaConf.to_container(_composed("distance").model.method.distance, resolve=True)}
        config = {"model": {"name": "distance", "method": method}}
        weights = {f"distance.{key}": value for key, value in trained_distance(bench.size).state_dict().items()}
        torch.save({"state_dict": weights, KEY: {"format": FORMAT, "config": config}}, checkpoint)
        for name in METHODS:
            exact, half = _method_losses(bench, _method(name, checkpoint))
            error = abs(half / exact - 1) if exact else abs(half)
            found[name] = {"float64": exact, "bfloat16": half, "relative_error": error}
            assert error < LOSS_ERROR, f"{name}: the loss in bfloat16 is {half:.5g}, in float64 {exact:.5g}"
    return found


def _method(name: str, checkpoint: Path) -> Any:
    own = [f"model.distance_checkpoint={checkpoint}"] if name in ("relcon", "rebar") else []
    torch.manual_seed(0)
    return instantiate(_composed(name, *own).model.method)


def _composed(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return compose("pretrain", ["run_dir=here", f"model={name}", "encoder=small", "compile=false", *overrides])


def _method_losses(bench: Bench, method: Any) -> tuple[float, float]:
    whole = bench.batch()
    small = CandidateBatch.of(whole.anchor[:16], whole.candidates[:16], whole.participant[:16])
    losses = []
    for dtype in (torch.float64, torch.float32):
        own = copy.deepcopy(method).to(bench.device, dtype).eval()
        batch = replace(small, pool=small.pool.to(dtype))
        generator = torch.Generator(bench.device).manual_seed(0)
        with torch.no_grad(), torch.autocast(bench.device.type, torch.bfloat16, enabled=dtype == torch.float32):
            losses.append(float(own.loss(batch, generator, "val")))
    return losses[0], losses[1]
