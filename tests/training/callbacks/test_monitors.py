"""What is watched while a method trains, in real runs on a toy cohort."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from relcon_lightning.augment import RandomAugmentations
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CandidateDataModule, CohortStore
from relcon_lightning.embed.windows import embed_windows
from relcon_lightning.errors import ConfigError, TrainingError
from relcon_lightning.methods import DistanceLearning, RelCon, SimCLR
from relcon_lightning.methods.sphere import alignment, diversity, uniformity
from relcon_lightning.nets import MotifDistance, small_resnet_1d
from relcon_lightning.training.callbacks import (
    CandidateMonitor,
    EmbeddingMonitor,
    FiniteGuard,
    OnlineProbe,
    RetrievalMonitor,
    Speed,
)
from relcon_lightning.training.callbacks.candidates import candidate_distances
from tests.conftest import INFO, recordings
from tests.margins import assert_below
from tests.nets.test_base import Means

pytestmark = pytest.mark.filterwarnings("ignore")


def data_of(store, **options: Any) -> CandidateDataModule:
    kind: dict[str, Any] = {"batch_size": 8, "n_candidates": 2, "val_batches": 1, "ratios": (4, 2, 2), **options}
    return CandidateDataModule(store.path, window_s=0.64, **kind)


def net() -> MotifDistance:
    torch.manual_seed(0)
    return MotifDistance(channels=8, kernel_size=7)


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return small_resnet_1d()


def fit(method: L.LightningModule, data: CandidateDataModule, folder: Path, *callbacks: L.Callback, steps: int = 2):
    trainer = L.Trainer(
        default_root_dir=folder,
        max_steps=steps,
        max_epochs=1,
        val_check_interval=steps,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=CSVLogger(folder),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(method, data)
    return {name: float(value) for name, value in trainer.logged_metrics.items()}


def test_relcon_is_watched_from_all_sides(toy_store, tmp_path):
    watch = (
        RetrievalMonitor(32),
        OnlineProbe("knn", 64),
        EmbeddingMonitor(),
        CandidateMonitor(),
        FiniteGuard(tmp_path),
    )
    data, method = data_of(toy_store), RelCon(encoder(), net())
    logged = fit(method, data, tmp_path, *watch)
    batch = next(iter(data.val_dataloader()))
    method.eval()
    with torch.no_grad():
        views = RandomAugmentations()(batch["anchor"], torch.Generator().manual_seed(0))
        z, positive = method.encoder(batch["anchor"]), method.encoder(views)
        distances = candidate_distances(method.distance, batch)
    expected = {"diversity": diversity(z), "alignment": alignment(z, positive), "uniformity": uniformity(z)}
    for whose, values in distances.items():
        for q in (0.1, 0.5, 0.9):
            expected[f"distance_{whose}_q{round(100 * q)}"] = values.quantile(q)
    for name, value in expected.items():
        assert logged[f"val/{name}"] == pytest.approx(value.item(), rel=1e-3), name
    assert logged["train/grad_norm"] > 0
    assert 0 <= logged["val/knn_f1"] <= 1
    assert 0 <= logged["val/average_precision"] <= 1


def test_candidate_distances_are_those_of_the_pairs_one_by_one(toy_store):
    data = data_of(toy_store, participants_per_batch=4)
    data.setup()
    batch, distance = next(iter(data.train_dataloader())), net().eval()
    found = candidate_distances(distance, batch)
    anchor, person = batch["anchor"], batch["participant"]
    own: dict[str, list[float]] = {"within": [], "between": []}
    with torch.no_grad():
        for i in range(len(anchor)):
            for j in range(len(anchor)):
                if i != j:
                    whose = "within" if person[i] == person[j] else "between"
                    own[whose].append(distance.distance(anchor[i : i + 1], anchor[j : j + 1]).item())
            for candidate in batch["candidates"][i]:
                own["within"].append(distance.distance(anchor[i : i + 1], candidate[None]).item())
    for whose, values in own.items():
        np.testing.assert_allclose(np.sort(found[whose].detach()), np.sort(values), rtol=1e-4)


def test_distance_learning_has_no_embedding_to_watch(toy_store, tmp_path):
    watch = (RetrievalMonitor(32), OnlineProbe(), EmbeddingMonitor(), CandidateMonitor())
    logged = fit(DistanceLearning(net()), data_of(toy_store), tmp_path, *watch)
    assert {"val/average_precision", "val/distance_within_q50", "val/distance_between_q50"} <= set(logged)
    assert not {"val/diversity", "val/knn_f1"} & set(logged)


def test_a_distance_of_another_package_is_watched_too(toy_store, tmp_path):
    logged = fit(RelCon(encoder(), Means()), data_of(toy_store), tmp_path, CandidateMonitor())
    assert logged["val/distance_within_q10"] < logged["val/distance_within_q90"]


def test_a_method_without_a_distance_logs_no_distances(toy_store, tmp_path):
    logged = fit(
        SimCLR(encoder()), data_of(toy_store, n_candidates=0), tmp_path, CandidateMonitor(), EmbeddingMonitor()
    )
    assert "val/diversity" in logged
    assert not [name for name in logged if "distance" in name]


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_the_online_probe_knows_a_good_embedding_from_a_useless_one(kind, toy_store, tmp_path, training_seed):
    data = data_of(toy_store)
    data.setup()
    probe = OnlineProbe(kind, windows=100)
    probe.on_fit_start(type("Trainer", (), {"datamodule": data})(), SimCLR(encoder()))
    assert len(probe.windows) == 100
    assert set(probe.windows.participant) == set(data.split.validation)
    rng = np.random.default_rng(training_seed)
    told = (probe.windows.label == "walk")[:, None] * 2.0 - 1
    assert probe.score(told + 0.01 * rng.standard_normal((100, 4))) == 1
    assert_below(probe.score(rng.standard_normal((100, 4))), 0.75, "macro F1 of noise")


def test_the_online_probe_is_never_tested_on_a_person_it_was_fitted_on(toy_store):
    """An embedding that says who it is and nothing else must not help, although each person has two labels."""
    data = data_of(toy_store, ratios=(2, 4, 2))
    data.setup()
    probe = OnlineProbe("knn", windows=200, neighbours=5)
    probe.on_fit_start(type("Trainer", (), {"datamodule": data})(), SimCLR(encoder()))
    _, recording = np.unique(probe.windows.recording, return_inverse=True)  # a recording has one label
    assert probe.score(np.eye(recording.max() + 1)[recording] + 1e-3) < 0.7


def test_the_online_probe_leaves_the_method_as_it_was(toy_store, tmp_path):
    method, data = SimCLR(encoder()), data_of(toy_store, n_candidates=0)
    logged = fit(method, data, tmp_path, OnlineProbe("linear", 64))
    assert method.encoder.training
    probe = OnlineProbe("linear", 64)
    probe.on_fit_start(type("Trainer", (), {"datamodule": data})(), method)
    assert logged["val/linear_f1"] == pytest.approx(probe.score(embed_windows(method.encoder, probe.windows.signal)))


def test_another_kind_of_probe_is_refused():
    with pytest.raises(ConfigError, match=r"online_probe\.kind=forest: expected knn or linear"):
        OnlineProbe("forest")  # type: ignore[arg-type]


@pytest.mark.parametrize("monitor", [RetrievalMonitor, OnlineProbe])
def test_without_labels_a_monitor_says_so_once_and_training_goes_on(monitor, tmp_path, caplog):
    made = [replace(r, segments=()) for r in recordings({f"p{i}": [2000] for i in range(4)})]
    store = CohortStore.write(tmp_path / "unlabelled", made, INFO)
    with caplog.at_level("INFO"):
        logged = fit(SimCLR(encoder()), data_of(store, n_candidates=0), tmp_path, monitor())
    assert sum(f"No {monitor.__name__}" in line for line in caplog.messages) == 1
    assert "train/loss" in logged


class Spoilt(SimCLR):
    """Loses its mind at the second step, in the loss or in the gradient only."""

    where = "loss"

    def loss(self, batch, generator, stage):
        loss = super().loss(batch, generator, stage)
        if self.global_step < 1 or stage == "val":
            return loss
        if self.where == "loss":
            return loss * torch.nan
        return loss + (0 * next(self.parameters()).sum()).sqrt()  # 0 forwards, infinite backwards


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_nan_stops_the_run_with_the_batch_saved_and_the_weights_untouched(where, toy_store, tmp_path):
    method, data = Spoilt(encoder()), data_of(toy_store)
    method.where = where
    with pytest.raises(TrainingError, match=rf"{where} is (nan|inf) at step 1\. The windows are finite: try a lower"):
        fit(method, data, tmp_path, FiniteGuard(tmp_path / "not_finite"), steps=4)
    assert all(p.isfinite().all() for p in method.parameters())
    saved = torch.load(tmp_path / "not_finite" / "step1-rank0.pt", weights_only=True)
    assert saved["step"] == 1
    assert set(saved["participants"]) <= set(data.split.train)
    torch.testing.assert_close(saved["batch"]["anchor"], data.train_dataloader().dataset[1]["anchor"])


def test_weights_that_are_not_finite_are_not_saved(toy_store, tmp_path):
    method, guard = SimCLR(encoder()), FiniteGuard(tmp_path)
    fit(method, data_of(toy_store), tmp_path, guard)
    method.trainer.save_checkpoint(tmp_path / "good.ckpt")
    with torch.no_grad():
        next(method.parameters()).view(-1)[0] = torch.inf
    with pytest.raises(TrainingError, match=r"\S+ is not finite after 2 steps and is not saved"):
        method.trainer.save_checkpoint(tmp_path / "bad.ckpt")
    assert (tmp_path / "good.ckpt").exists()
    assert not (tmp_path / "bad.ckpt").exists()


def test_a_validation_loss_that_is_nan_stops_the_run(toy_store, tmp_path):
    class Blind(SimCLR):
        def loss(self, batch, generator, stage):
            loss = super().loss(batch, generator, stage)
            return loss if stage == "train" else loss * torch.nan

    with pytest.raises(TrainingError, match="The validation loss is nan after"):
        fit(Blind(encoder()), data_of(toy_store), tmp_path, FiniteGuard(tmp_path), steps=4)


def test_an_embedding_that_overflows_stops_the_run_before_the_monitors_measure_it(toy_store, tmp_path):
    method = SimCLR(encoder(), optimizer=partial(torch.optim.SGD, lr=1e30))
    with pytest.raises(TrainingError, match=r"validation loss is nan after 1 steps\..* a lower model\.learning_rate"):
        fit(
            method,
            data_of(toy_store),
            tmp_path,
            OnlineProbe("knn", 64),
            RetrievalMonitor(32),
            FiniteGuard(tmp_path),
            steps=1,
        )


def test_nan_in_the_data_is_blamed_on_the_participant(toy_store, tmp_path):
    class Dirty(CandidateDataModule):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            batch["anchor"][0, 1, 5] = torch.nan
            return batch

    data = Dirty(toy_store.path, window_s=0.64, batch_size=8, n_candidates=0, ratios=(4, 2, 2))
    with pytest.raises(TrainingError, match=r"Windows of p\d are not finite"):
        fit(SimCLR(encoder()), data, tmp_path, FiniteGuard(tmp_path))


def test_speed_counts_what_waits_and_leaves_validation_out(monkeypatch):
    clock = iter([0.0, 1.0, 1.5, 2.5, 2.5, 9.0, 9.1, 10.1, 10.1])  # step, step, validation until 9, step
    monkeypatch.setattr("relcon_lightning.training.callbacks.speed.time.perf_counter", lambda: next(clock))
    trainer, module = MagicMock(world_size=2, log_every_n_steps=3, should_stop=False), MagicMock()
    batch = CandidateBatch.of(torch.zeros(4, 3, 8))
    speed = Speed()
    for step in range(3):
        trainer.global_step = step + 1
        speed.on_train_batch_start(trainer, module, batch, step)
        speed.on_train_batch_end(trainer, module)
        if step == 1:
            speed.on_validation_end(trainer, module)
    logged = module.log_dict.call_args.args[0]
    assert logged["time/waiting_share"] == pytest.approx(0.6 / 2.6)  # 0.5 and 0.1 of 1.5 and 1.1
    assert logged["time/anchors_per_s"] == pytest.approx(16 / 2.6)


@pytest.mark.parametrize(
    ("every", "stops", "logged"), [(2, False, [2, 4]), (4, False, [4]), (0, False, []), (9, True, [5])]
)
def test_speed_logs_once_per_logged_step_also_with_several_batches_per_step(every, stops, logged):
    trainer, module, steps = MagicMock(world_size=1, log_every_n_steps=every, should_stop=False), MagicMock(), []
    speed = Speed()
    module.log_dict.side_effect = lambda _: steps.append(trainer.global_step)
    for number in range(10):
        trainer.should_stop = stops and number == 9
        speed.on_train_batch_start(trainer, module, CandidateBatch.of(torch.zeros(4, 3, 8)), number)
        trainer.global_step = (number + 1) // 2  # of two batches
        speed.on_train_batch_end(trainer, module)
    assert steps == logged
