"""The best checkpoint is that of the best validation, also after a run was killed and went on."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from relcon_lightning.errors import ConfigError
from relcon_lightning.methods import SimCLR
from relcon_lightning.nets import small_resnet_1d
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_format import CHOSEN, KEY
from relcon_lightning.training.callbacks import BestCheckpoint, FirstValidation, Provenance, StepCheckpoint
from relcon_lightning.training.objective import check_direction, direction_of
from relcon_lightning.training.resume import AtomicCheckpointIO, find_checkpoint
from tests.training.callbacks.test_monitors import data_of

pytestmark = pytest.mark.filterwarnings("ignore")


class Told(Callback):
    """Logs given values, one per validation."""

    def __init__(self, values, name="val/knn_f1"):
        self.values, self.name = list(values), name

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log(self.name, self.values[trainer.global_step])


def train(store, folder: Path, values, *, start=None, name="val/knn_f1", **options) -> BestCheckpoint:
    """One step per value after the first, each with a validation; nothing is learned by chance of the values."""
    torch.manual_seed(0)
    best = BestCheckpoint(folder, **options)
    config = {"data": {"name": "toy"}, "model": {"name": "simclr", "method": {}}, "trainer": {}}
    callbacks = [Provenance(config), best, Told(values, name), FirstValidation()]
    steps = StepCheckpoint(
        dirpath=folder,
        filename="{step}",
        every_n_train_steps=1,
        save_last=True,
        auto_insert_metric_name=False,
        enable_version_counter=False,
    )
    trainer = L.Trainer(
        max_steps=len(values) - 1,
        max_epochs=1,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        accelerator="cpu",
        logger=False,
        callbacks=[*callbacks, steps],
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(SimCLR(small_resnet_1d()), data_of(store), ckpt_path=start, weights_only=True)
    return best


def kept(folder: Path) -> tuple[int, str, float]:
    best = Checkpoint.read(folder / "best.ckpt")
    assert best.step is not None
    assert best.chosen is not None
    return best.step, *best.chosen


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.1, 0.3, 0.5, 0.4], 2),
        ([0.5, 0.3, 0.4, 0.2], 0),  # the untrained net truly is the best
        ([0.5, 0.3, 0.5, 0.5], 2),  # and is not preferred to a trained one
        ([0.1, 0.5, 0.5, 0.2], 1),
        ([0.1, float("nan"), 0.2, float("inf")], 2),
    ],
)
def test_the_file_is_of_the_best_validation(toy_store, tmp_path, values, step):
    best = train(toy_store, tmp_path, values)
    assert kept(tmp_path) == (step, "val/knn_f1", pytest.approx(values[step]))
    assert best.step == step
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["3.ckpt", "best.ckpt", "last.ckpt"]
    assert Checkpoint.read(tmp_path / "last.ckpt").chosen is None


@pytest.mark.parametrize(
    ("name", "direction", "step"), [("val/alignment", None, 1), ("val/mine", "maximize", 2), ("val/f1", "minimize", 1)]
)
def test_another_metric_has_its_own_direction(toy_store, tmp_path, name, direction, step):
    train(toy_store, tmp_path, [0.5, 0.1, 0.9], name=name, metric=name, direction=direction)
    assert kept(tmp_path)[:2] == (step, name)


def test_without_labels_the_loss_decides_and_it_is_said(toy_store, tmp_path, caplog):
    caplog.set_level("INFO")
    train(toy_store, tmp_path, [0.5, 0.1], name="val/other")
    assert kept(tmp_path)[1] == "val/loss"
    assert "val/knn_f1 is not logged: best.ckpt is chosen by val/loss" in caplog.text


def test_a_metric_without_direction_keeps_none_and_says_so(toy_store, tmp_path, caplog):
    best = train(toy_store, tmp_path, [0.5, 0.1], name="val/mine", metric="val/mine")
    assert not (tmp_path / "best.ckpt").exists()
    assert best.value is None
    assert "set objective_direction=minimize or maximize" in caplog.text


def test_it_is_off_where_there_is_no_objective(toy_store, tmp_path):
    train(toy_store, tmp_path, [0.5, 0.1], metric=None)
    assert not (tmp_path / "best.ckpt").exists()


@pytest.mark.parametrize(
    ("values", "step", "chosen"),
    [
        ([0.1, 0.3, 0.2, 0.25], 1, 0.3),  # nothing after is better than before the stop
        ([0.1, 0.3, 0.2, 0.4], 3, 0.4),
    ],
)
def test_a_run_that_goes_on_remembers_its_best(toy_store, tmp_path, values, step, chosen):
    train(toy_store, tmp_path, values[:3])
    start = find_checkpoint("auto", tmp_path)
    assert (start.path.name, start.step) == ("last.ckpt", 2)
    train(toy_store, tmp_path, values, start=start.path)
    assert kept(tmp_path) == (step, "val/knn_f1", pytest.approx(chosen))


@pytest.mark.parametrize("change", ["metric", "damaged", "later"])
def test_what_is_not_the_best_of_the_steps_before_is_replaced(toy_store, tmp_path, change):
    train(toy_store, tmp_path, [0.1, 0.2, 0.9])
    file = tmp_path / "best.ckpt"
    start = tmp_path / "2.ckpt"
    if change == "damaged":
        file.write_bytes(b"PK")
    if change == "later":
        content = torch.load(file, weights_only=True)
        torch.save({**content, "global_step": 7}, file)
    options = {"name": "val/f1", "metric": "val/f1"} if change == "metric" else {}
    train(toy_store, tmp_path, [0.1, 0.2, 0.3, 0.25], start=start, **options)
    assert kept(tmp_path) == (3, options.get("metric", "val/knn_f1"), pytest.approx(0.25))


def test_the_file_of_a_run_that_is_begun_anew_does_not_stay(toy_store, tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"of an earlier run")
    train(toy_store, tmp_path, [0.5, 0.1], metric=None)
    assert not (tmp_path / "best.ckpt").exists()


def test_an_interrupted_write_leaves_the_best_before_it(toy_store, tmp_path, monkeypatch):
    whole = torch.save

    def cut(content, file):
        if CHOSEN in content.get(KEY, {}) and content["global_step"] == 2:
            file.write(b"half")
            raise KeyboardInterrupt
        whole(content, file)

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(toy_store, tmp_path, [0.1, 0.2, 0.3, 0.4])
    assert kept(tmp_path)[0] == 1


@pytest.mark.parametrize("damage", [{"metric": 3, "value": 0.5}, {"metric": "val/f1", "value": "high"}, "best"])
def test_a_changed_entry_is_refused(toy_store, tmp_path, damage):
    train(toy_store, tmp_path, [0.5, 0.6])
    content = torch.load(tmp_path / "best.ckpt", weights_only=True)
    content[KEY][CHOSEN] = damage
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(ConfigError, match="chosen"):
        Checkpoint.read(tmp_path / "best.ckpt")


def test_resume_takes_the_best_only_where_nothing_newer_can_be_read(toy_store, tmp_path):
    train(toy_store, tmp_path, [0.1, 0.2, 0.3])
    for name in ("last.ckpt", "2.ckpt"):
        assert find_checkpoint("auto", tmp_path).path.name == name
        (tmp_path / name).write_bytes(b"PK")
    start = find_checkpoint("auto", tmp_path)
    assert (start.path.name, start.step) == ("best.ckpt", 2)
    train(toy_store, tmp_path, [0.1, 0.2, 0.3, 0.4], start=start.path)
    assert kept(tmp_path)[0] == 3


def test_the_untrained_net_is_nothing_to_go_on_from(toy_store, tmp_path):
    train(toy_store, tmp_path, [0.5, 0.1])
    for name in ("last.ckpt", "1.ckpt"):
        (tmp_path / name).unlink()
    assert kept(tmp_path)[0] == 0
    assert find_checkpoint("auto", tmp_path) is None


def test_directions():
    assert direction_of("val/loss_per_candidate") == "minimize"
    assert direction_of("val/average_precision") == "maximize"
    with pytest.raises(ConfigError, match="expected minimize, maximize or null"):
        check_direction("up")
