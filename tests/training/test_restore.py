"""What a checkpoint may do to the run that goes on from it: hand over numbers and tensors."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from relcon_lightning.errors import ConfigError
from relcon_lightning.training.callbacks import StepCheckpoint
from relcon_lightning.training.restore import restorable
from relcon_lightning.training.resume import AtomicCheckpointIO, Replaced

PARTS = ("ready", "started", "processed", "completed")
DONE, BEGUN = dict.fromkeys(PARTS, 6), dict(zip(PARTS, (1, 1, 0, 0), strict=True))
CONTENT = {
    "epoch": 0,
    "global_step": 6,
    "pytorch-lightning_version": "2.6.6",
    "state_dict": {"w": torch.ones(2)},
    "loops": {
        "fit_loop": {
            "epoch_loop.batch_progress": {"is_last_batch": True, "total": dict(DONE), "current": dict(DONE)},
            "epoch_loop.state_dict": {"_batches_that_stepped": 6},
            "epoch_progress": {"total": dict(BEGUN), "current": dict(BEGUN)},
        }
    },
    "optimizer_states": [
        {"state": {0: {"step": torch.tensor(6.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]}
    ],
    "lr_schedulers": [{"last_epoch": 6, "T_max": 6, "base_lrs": [0.1]}],
}
PATH = "/home/me/thesis"


def test_numbers_and_tensors_are_taken_over():
    kept = restorable(CONTENT, "x.ckpt")
    assert kept["global_step"] == 6
    assert kept["optimizer_states"] == CONTENT["optimizer_states"]
    assert kept["lr_schedulers"] == [{"last_epoch": 6, "base_lrs": [0.1]}]  # how long it is says the configuration
    assert kept["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] is False


@pytest.mark.parametrize(
    ("batches", "epochs", "stepped"),
    [
        ((7, 6, 6, 6), (1, 1, 0, 0), 6),  # when the next step has begun
        ((6, 6, 6, 6), (1, 1, 1, 1), 6),  # when the training has ended
        ((6, 6, 6, 5), (1, 1, 0, 0), 5),  # right after the step, as earlier versions
    ],
)
def test_training_goes_on_after_the_step_whenever_it_was_saved(batches, epochs, stepped):
    content = copy.deepcopy(CONTENT)
    fit = content["loops"]["fit_loop"]
    for name in ("total", "current"):
        fit["epoch_loop.batch_progress"][name] = dict(zip(PARTS, batches, strict=True))
        fit["epoch_progress"][name] = dict(zip(PARTS, epochs, strict=True))
    fit["epoch_loop.state_dict"]["_batches_that_stepped"] = stepped
    kept = restorable(content, "x.ckpt")["loops"]["fit_loop"]
    for name in ("total", "current"):
        assert tuple(kept["epoch_loop.batch_progress"][name].values()) == (6, 6, 6, 5)
        assert kept["epoch_progress"][name] == BEGUN
    assert kept["epoch_loop.state_dict"]["_batches_that_stepped"] == 5


@pytest.mark.parametrize(
    "state",
    [
        {"best_model_path": PATH},
        {"last_model_path": PATH, "dirpath": "runs"},
        {"best_k_models": {PATH: torch.tensor(1.0)}},
        {"nested": [{"deep": (PATH, 1)}]},
    ],
)
@pytest.mark.parametrize("name", ["ModelCheckpoint{}", "ModelCheckpoint", "EarlyStopping{}", "Mine"])
def test_no_path_comes_with_the_state_of_a_callback(state, name):
    content = {
        **CONTENT,
        "callbacks": {name: state},
        "hyper_parameters": {"p": PATH},
        "CandidateDataModule": {"p": PATH},
    }
    assert "thesis" not in str(restorable(content, "x.ckpt"))


@pytest.mark.parametrize("name", ["optimizer_states", "lr_schedulers", "loops"])
def test_no_text_comes_with_other_states(name):
    content = copy.deepcopy(CONTENT)
    place = content[name]["fit_loop"] if name == "loops" else content[name][0]
    place["path"] = PATH
    assert "thesis" not in str(restorable(content, "x.ckpt"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("global_step", "6"),
        ("global_step", True),
        ("epoch", None),
        ("state_dict", [1]),
        ("state_dict", {"w": "text"}),
        ("loops", {}),
        ("loops", {"fit_loop": 3}),
        ("optimizer_states", {}),
        ("optimizer_states", []),
        ("optimizer_states", [{"state": {}, "param_groups": []}]),
        ("global_step", -3),
        ("lr_schedulers", "x"),
    ],
)
def test_an_entry_of_another_type_is_named_with_the_file(name, value):
    with pytest.raises(ConfigError, match=r"^Training cannot resume from x\.ckpt"):
        restorable({**CONTENT, name: value}, "x.ckpt")


def test_only_a_checkpoint_is_ever_removed(tmp_path):
    folder, text, checkpoint = tmp_path / "thesis", tmp_path / "thesis.tex", tmp_path / "3.ckpt"
    for path in (folder, tmp_path / "folder.ckpt"):
        path.mkdir()
    for path in (folder / "chapter.tex", text, checkpoint):
        path.write_text("x")
    io = AtomicCheckpointIO()
    for path in (folder, tmp_path / "folder.ckpt", text, tmp_path / "nothing.ckpt", checkpoint):
        io.remove_checkpoint(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.ckpt", "thesis", "thesis.tex"]
    assert (folder / "chapter.tex").exists()


def test_the_state_of_saving_holds_no_path(tmp_path):
    saving = StepCheckpoint(dirpath=tmp_path, every_n_train_steps=3)
    saving.load_state_dict({"best_model_path": PATH, "dirpath": str(tmp_path), "best_k_models": {PATH: 1}})
    assert saving.state_dict() == {}
    assert saving.best_model_path == saving.last_model_path == ""
    assert saving.best_k_models == {}


def earlier_run(tmp_path: Path) -> Path:
    run, other = tmp_path / "run", tmp_path / "other"
    for path in ("checkpoints/3.ckpt", "csv/metrics.csv", "run.json", "run.1.json", "split.json", "curves.png"):
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_text("old")
    other.mkdir()
    (other / "9.ckpt").write_text("mine")
    (run / "notes.txt").write_text("mine")
    (run / "checkpoints" / "link.ckpt").symlink_to(other / "9.ckpt")
    (run / "not_finite").symlink_to(other)
    (other / "kept.pt").write_text("mine")
    return run


def files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_that_trains_a_step_replaces_the_one_before_and_nothing_else(tmp_path):
    run = earlier_run(tmp_path)
    with Replaced(run).aside():
        assert not (run / "checkpoints" / "3.ckpt").exists()
        (run / "run.json").write_text("new")
        Replaced(run).remove()
    assert files(tmp_path) == {
        "other/9.ckpt": "mine", "other/kept.pt": "mine", "run/notes.txt": "mine", "run/run.json": "new"
    }  # fmt: skip


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_ends_before_its_first_step_leaves_the_one_before(tmp_path, killed):
    run = earlier_run(tmp_path)
    before = files(tmp_path)
    keeping = Replaced(run).aside()
    keeping.__enter__()
    (run / "run.json").write_text("new")
    (run / "checkpoints" / "best.ckpt").write_text("new")
    if killed:
        Replaced(run).restore()  # at the start of the next command
    else:
        assert not keeping.__exit__(ValueError, ValueError("a setting is refused"), None)
    assert files(tmp_path) == before
    assert not list(run.glob(".replaced*"))
    assert (run / "checkpoints" / "link.ckpt").is_symlink()


def test_a_kill_while_files_move_loses_none_of_them(tmp_path, monkeypatch):
    """Each move is interrupted after each number of files; the next command puts all back."""
    run = earlier_run(tmp_path)
    before = files(tmp_path)
    for moved in range(20):
        with monkeypatch.context() as patch:
            left, replace = iter(range(moved)), Path.replace

            def killed(path, target, left=left, replace=replace):
                next(left)
                return replace(path, target)

            patch.setattr(Path, "replace", killed)
            try:
                with Replaced(run).aside():
                    (run / "run.json").write_text("new")
            except (StopIteration, RuntimeError):
                pass
        Replaced(run).restore()
        assert files(tmp_path) == before, moved


def test_a_kill_while_the_run_before_is_removed_keeps_the_new_one(tmp_path, monkeypatch):
    run = earlier_run(tmp_path)
    with Replaced(run).aside():
        (run / "run.json").write_text("new")
        with monkeypatch.context() as patch:
            patch.setattr("relcon_lightning.training.resume.shutil.rmtree", lambda *arguments, **options: None)
            Replaced(run).remove()
    Replaced(run).restore()
    assert (run / "run.json").read_text() == "new"
    assert not (run / "split.json").exists()
    assert not list(run.glob(".replaced*"))
