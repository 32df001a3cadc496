from __future__ import annotations

import csv
import re
import resource
import subprocess
import sys
import textwrap

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from relcon_lightning.errors import ConfigError, TrainingError
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.runs.checkpoint_paths import shipped
from relcon_lightning.training.resume import AtomicCheckpointIO, find_checkpoint, keep_metrics, last_value


def found(resume, folder):
    start = find_checkpoint(resume, folder)
    assert start is not None
    path, step, checkpoint = start
    assert (checkpoint.path, checkpoint.step) == (str(path), step)
    return path, step


def save(path, step):
    AtomicCheckpointIO().save_checkpoint({KEY: {"format": FORMAT}, "global_step": step}, path)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / "last.ckpt"
    save(path, 3)
    program = f"""
        import resource, torch
        from pathlib import Path
        from relcon_lightning.errors import TrainingError
        from relcon_lightning.training.resume import AtomicCheckpointIO
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            AtomicCheckpointIO().save_checkpoint({{"weights": torch.zeros(10**6)}}, Path({str(path)!r}))
        except TrainingError as error:
            print(error)
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "last.ckpt cannot be written" in said.stdout
    assert "resume=auto" in said.stdout
    assert torch.load(path, weights_only=True)["global_step"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000  # of this process


def test_a_write_that_fails_half_way_is_not_seen(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    save(path, 3)

    def half(content, file):
        file.write(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(TrainingError, match="PytorchStreamWriter"):
        save(path, 6)
    assert found("auto", tmp_path) == (path, 3)


def test_the_newest_checkpoint_is_the_one_with_most_steps(tmp_path):
    for name, step in (("10.ckpt", 10), ("last.ckpt", 12), ("9.ckpt", 9)):
        save(tmp_path / name, step)
    assert found("auto", tmp_path) == (tmp_path / "last.ckpt", 12)
    assert found(str(tmp_path / "9.ckpt"), tmp_path) == (tmp_path / "9.ckpt", 9)
    assert find_checkpoint(None, tmp_path) is None
    assert find_checkpoint("auto", tmp_path / "nothing yet") is None
    with pytest.raises(ConfigError, match="There is no checkpoint"):
        find_checkpoint(str(tmp_path / "8.ckpt"), tmp_path)


def test_a_run_is_resumed_from_its_folder(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    save(tmp_path / "checkpoints" / "last.ckpt", 5)
    assert found(str(tmp_path), tmp_path / "other") == (tmp_path / "checkpoints" / "last.ckpt", 5)


@pytest.mark.parametrize("address", ["open-wrist-small", str(shipped()["open-wrist-small"]), "hf://owner/name"])
def test_an_exported_encoder_is_no_run_to_resume(tmp_path, address):
    with pytest.raises(ConfigError, match=f"resume={re.escape(address)} is an exported encoder.*folder of a run"):
        find_checkpoint(address, tmp_path)


def test_a_part_left_by_a_kill_is_not_taken_for_a_checkpoint(tmp_path):
    save(tmp_path / "3.ckpt", 3)
    (tmp_path / ".last.ckpt.part").write_bytes(b"half")
    assert found("auto", tmp_path) == (tmp_path / "3.ckpt", 3)


def rows(path):
    with path.open(newline="") as file:
        return [(int(row["step"]), row["a"], row.get("b", "")) for row in csv.DictReader(file)]


def logger(folder):
    return CSVLogger(folder, name="", version="csv", flush_logs_every_n_steps=1)


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_metrics_go_on_after_the_steps_that_were_saved(tmp_path):
    path = tmp_path / "csv" / "metrics.csv"
    first = logger(tmp_path)
    for step in range(5):
        first.log_metrics({"a": float(step)}, step)
    second = logger(tmp_path)
    keep_metrics(second, step=3)
    assert rows(path) == [(0, "0.0", ""), (1, "1.0", ""), (2, "2.0", "")]
    second.log_metrics({"a": 3.5, "b": 1.0}, 3)
    assert rows(path) == [(0, "0.0", ""), (1, "1.0", ""), (2, "2.0", ""), (3, "3.5", "1.0")]


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_metrics_of_a_resume_that_was_killed_at_its_start_are_found(tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "metrics.csv.part").write_text("a,step\n0.0,0\n")
    keep_metrics(logger(tmp_path), step=3)
    assert rows(folder / "metrics.csv") == [(0, "0.0", "")]


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_a_line_that_was_cut_short_is_not_taken_for_another_step(tmp_path):
    path = tmp_path / "csv" / "metrics.csv"
    path.parent.mkdir()
    path.write_text("a,step\n0.0,0\n1.0,1\n12.0,1")  # of step 12
    keep_metrics(logger(tmp_path), step=3)
    assert rows(path) == [(0, "0.0", ""), (1, "1.0", "")]


def test_a_run_without_metrics_goes_on_too(tmp_path):
    keep_metrics(logger(tmp_path), step=3)
    assert not (tmp_path / "csv" / "metrics.csv").exists()


def test_the_last_value_of_a_metric(tmp_path):
    path = tmp_path / "metrics.csv"
    assert last_value(path, "val/loss") is None
    path.write_text("step,train/loss,val/loss\n0,3,\n1,,2.5\n2,,0.125\n3,1,\n")
    assert last_value(path, "val/loss") == 0.125
    assert last_value(path, "val/knn_f1") is None
    path.write_text("step,val/loss\n0,damaged\n")
    assert last_value(path, "val/loss") is None
