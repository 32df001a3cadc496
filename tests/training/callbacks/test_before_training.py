"""What happens before the first step: the untrained method is validated, the motif distance compiled."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L
import pandas as pd
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from relcon_lightning.data import CandidateDataModule
from relcon_lightning.methods import DistanceLearning, SimCLR
from relcon_lightning.nets import MotifDistance, motif_distance, small_resnet_1d
from relcon_lightning.training.callbacks import Compilation, FirstValidation, Pictures, RetrievalMonitor
from relcon_lightning.training.resume import keep_metrics

pytestmark = pytest.mark.filterwarnings("ignore")


def data_of(store) -> CandidateDataModule:
    return CandidateDataModule(store.path, window_s=0.64, batch_size=8, n_candidates=0, val_batches=1, ratios=(4, 2, 2))


def simclr() -> SimCLR:
    torch.manual_seed(0)
    return SimCLR(small_resnet_1d())


def fit(method: L.LightningModule, store, folder: Path, *callbacks: L.Callback, steps: int = 3, **options) -> Path:
    """Validates after each step; returns the log."""
    logger = CSVLogger(folder, name="", version="")
    trainer = L.Trainer(
        default_root_dir=folder,
        max_steps=steps,
        max_epochs=1,
        val_check_interval=1,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=logger,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )
    trainer.fit(method, data_of(store))
    return Path(logger.log_dir) / "metrics.csv"


def test_the_untrained_method_is_validated_and_training_is_as_without(toy_store, tmp_path):
    with_first, without = simclr(), simclr()
    log = pd.read_csv(fit(with_first, toy_store, tmp_path / "a", FirstValidation()))
    plain = pd.read_csv(fit(without, toy_store, tmp_path / "b"))
    validation = log.dropna(subset="val/loss")
    assert validation["step"].tolist() == [-1, 0, 1, 2]
    assert validation["val/loss"].iloc[1:].tolist() == plain["val/loss"].dropna().tolist()
    assert log["train/loss"].dropna().tolist() == plain["train/loss"].dropna().tolist()
    assert log.dropna(subset="train/loss")["step"].tolist() == [0, 1, 2]
    for name, value in with_first.state_dict().items():
        torch.testing.assert_close(value, without.state_dict()[name], rtol=0, atol=0)


def test_the_first_value_is_that_of_the_untrained_net(toy_store, tmp_path):
    log = pd.read_csv(fit(simclr(), toy_store, tmp_path, FirstValidation()))
    data, method = data_of(toy_store), simclr().eval()
    data.setup()
    with torch.no_grad():
        expected = method.validation_step(next(iter(data.val_dataloader())), 0)
    assert log["val/loss"].dropna().iloc[0] == pytest.approx(expected.item(), rel=1e-5)


def test_without_validation_there_is_no_first_one(toy_store, tmp_path):
    log = pd.read_csv(fit(simclr(), toy_store, tmp_path, FirstValidation(), limit_val_batches=0))
    assert log["step"].min() == 0


def test_a_run_that_goes_on_keeps_its_first_value(tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    rows = ["epoch,step,val/loss", "0,-1,5.0", "0,0,4.0", "0,1,3.0", "0,2,2.0"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
    keep_metrics(logger, step=2)
    assert pd.read_csv(tmp_path / "metrics.csv")["step"].tolist() == [-1, 0, 1]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_distance_is_compiled_before_the_first_step_and_only_if_asked_for(
    enabled, toy_store, tmp_path, monkeypatch, caplog
):
    calls = []

    def pair_errors(net, *pairs):
        calls.append((net.training, torch.is_grad_enabled(), any(x.is_inference() for x in pairs)))
        return motif_distance._pair_errors(net, *pairs)

    monkeypatch.setattr(motif_distance, "_compiled", lambda: pair_errors)
    net = MotifDistance(channels=8, kernel_size=7)
    order: list[int] = []

    class Noted(Compilation):
        def on_fit_start(self, trainer, pl_module):
            super().on_fit_start(trainer, pl_module)
            order.append(len(calls))
            assert pl_module.distance.training

    with caplog.at_level(logging.INFO):
        fit(DistanceLearning(net), toy_store, tmp_path, Noted(enabled), RetrievalMonitor(16, 4), steps=1)
    assert any("Compiling" in line for line in caplog.messages) is enabled
    assert order == [int(enabled)]
    assert (len(calls) > 1) is enabled  # validation goes through it
    assert set(calls) <= {(False, False, False)}  # one kind of tensors, for each of which code is made


def test_the_neighbours_of_an_anchor_are_drawn_by_distance_and_by_embedding(toy_store, tmp_path):
    for method, names in (
        (simclr(), {"curves.png", "ranking_embedding.png"}),
        (DistanceLearning(MotifDistance(channels=8, kernel_size=7)), {"curves.png", "ranking.png"}),
    ):
        folder = tmp_path / type(method).__name__
        fit(method, toy_store, folder, Pictures(str(folder), 100.0), steps=1)
        assert {path.name for path in folder.glob("*.png")} == names
