"""The commands as a user types them, on a small cohort in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from wandb.proto import wandb_internal_pb2

from relcon_lightning.data import CohortStore
from tests.conftest import INFO, recordings

pytestmark = pytest.mark.integration
TINY = [
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1",
    "data.batch_size=8",
    "callbacks.retrieval.windows=16",
]


def run(folder: Path, command: str, *arguments: str, code: int = 0, timeout: int = 300) -> str:
    """Run a command of the installed package; its combined output."""
    program = Path(sys.executable).parent / command
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "COLUMNS": "150"}
    done = subprocess.run(
        [program, *arguments], cwd=folder, env=environment, text=True, capture_output=True, timeout=timeout, check=False
    )
    output = done.stderr + done.stdout
    assert done.returncode == code, output
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with a cohort in the place of the default one, and a distance and a RelCon run on it."""
    path = tmp_path_factory.mktemp("work")
    CohortStore.write(path / "data" / "watch", recordings({f"p{i}": [2000] * 4 for i in range(10)}), INFO)
    run(path, "relcon-pretrain", "model=distance", *TINY)
    run(path, "relcon-pretrain", "model.distance_checkpoint=runs/watch/distance/seed0", *TINY)
    return path


def test_pretraining_leaves_checkpoint_logs_split_and_configuration(folder):
    for model in ("distance", "relcon"):
        made = folder / "runs" / "watch" / model / "seed0"
        metrics = pd.read_csv(made / "csv" / "metrics.csv")
        for name in ("train/loss", "val/loss", "val/average_precision", "val/average_precision_chance", "lr-Adam"):
            assert metrics[name].notna().any(), name
        split = json.loads((made / "split.json").read_text())
        assert {name: len(ids) for name, ids in split.items()} == {"train": 4, "validation": 2, "test": 4}
        assert (made / ".hydra" / "config.yaml").exists()
        content = torch.load(made / "checkpoints" / "last.ckpt", weights_only=True)
        assert content["global_step"] == 2
        hashes = content["relcon_lightning"]["participants"]["hashes"]
        assert len(hashes) == 6
        assert not any(name in str(hashes) for name in split["train"])


def wandb_records(file: Path) -> list[wandb_internal_pb2.Record]:
    """The records of a W&B transaction log: LevelDB's log format after a header of seven bytes, protobuf inside."""
    content, position, whole, records = file.read_bytes(), 7, b"", []
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:  # no header starts in the last bytes of a block
            position += 32768 - position % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        whole += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return records


def test_what_an_offline_wandb_run_wrote_can_be_read_back(folder):
    [file] = (folder / "runs" / "watch" / "relcon" / "seed0" / "wandb").glob("offline-run-*/run-*.wandb")
    records = wandb_records(file)
    run_record = next(record.run for record in records if record.HasField("run"))
    logged = {item.key or "/".join(item.nested_key) for record in records for item in record.history.item}
    assert run_record.project == "relcon"
    assert run_record.run_group == "watch"
    assert run_record.job_type == "pretrain"
    assert set(run_record.tags) == {"relcon", "watch"}
    assert {"train/loss", "val/loss", "val/average_precision"} <= logged


def test_wandb_gets_scores_tables_and_pictures_of_an_evaluation(folder):
    run(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "folder=reports/logged", "seeds=[0]")
    [file] = (folder / "reports" / "logged" / "wandb").glob("offline-run-*/run-*.wandb")
    records = wandb_records(file)
    assert next(record.run for record in records if record.HasField("run")).job_type == "eval"
    logged = {item.key or "/".join(item.nested_key) for record in records for item in record.history.item}
    assert "eval/exercise/window/f1/relcon" in logged
    assert any(key.startswith("eval/exercise/Window level") for key in logged)
    assert any(key.startswith("eval/exercise/confusion_recording") for key in logged)
    media = file.parent / "files" / "media"
    assert list(media.rglob("*.table.json"))
    assert list(media.rglob("*.png"))


def test_the_checkpoints_path_and_the_logs_path_are_the_last_lines(folder):
    output = run(folder, "relcon-pretrain", "model=distance", "name=again", *TINY)
    lines = [line for line in output.splitlines() if line.strip()]
    assert "runs/watch/distance/again/checkpoints/last.ckpt" in lines[-2]
    assert "runs/watch/distance/again/csv/metrics.csv" in lines[-1]


def test_overwriting_a_run_replaces_its_checkpoint(folder):
    arguments = ["model=distance", "name=twice", *TINY]
    checkpoints = folder / "runs" / "watch" / "distance" / "twice" / "checkpoints"
    weights = []
    for seed in (0, 1):
        run(folder, "relcon-pretrain", *arguments, f"seed={seed}", "overwrite=true")
        assert {p.name for p in checkpoints.iterdir()} == {"2.ckpt", "last.ckpt"}
        content = torch.load(checkpoints / "last.ckpt", weights_only=True)
        assert content["relcon_lightning"]["config"]["seed"] == seed
        weights.append(content["state_dict"]["distance.output.weight"])
    assert not torch.equal(*weights)


def test_evaluation_prints_and_writes_the_table_with_both_floors(folder):
    output = run(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0")
    report = folder / "reports" / "watch" / "exercise"
    markdown = (report / "report.md").read_text()
    for text in ("relcon", "random encoder", "random, normalised", "hand-crafted + forest"):
        assert text in output
        assert markdown.count(f"| {text} |") == 5  # window and recording with their comparisons, cost
    assert "report.html" in output
    scores = pd.read_parquet(report / "scores.parquet")
    assert len(scores) == 4 * 2 * 4 * 3
    metrics = pd.read_csv(report / "csv" / "metrics.csv")
    assert "eval/exercise/recording/f1/relcon" in metrics


def test_several_runs_are_compared_with_nets_that_learn_from_the_labels(folder):
    """A pattern finds RelCon's run and passes over the distance's; supervised nets stand beside it."""
    output = run(
        folder,
        "relcon-eval",
        "checkpoint='runs/watch/*/seed0'",
        "probe=finetune",
        "baseline=[conv,lstm]",
        "training.max_epochs=1",
        "seeds=[0]",
        "task.stride_s=30",
        "folder=compared",
    )
    predictions = pd.read_parquet(folder / "compared" / "predictions.parquet")
    systems = ["relcon, fine-tuned", "from scratch", "conv classifier", "LSTM classifier", "hand-crafted + forest"]
    assert predictions["system"].unique().tolist() == systems
    assert all(name in output for name in systems[:2])
    assert "- Probe: fine-tuning" in (folder / "compared" / "report.md").read_text()


def test_evaluation_on_participants_of_the_pretraining_stops(folder):
    split = json.loads((folder / "runs/watch/relcon/seed0/split.json").read_text())
    asked = ",".join([*split["test"], split["train"][0]])
    output = run(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", f"task.participants=[{asked}]", code=2)
    assert re.search(r"1 of 5 participants were used to pre-train", output)
    assert "Traceback" not in output
    report = (folder / "reports/watch/exercise/report.md").read_text()
    assert f"- Participants: {', '.join(split['test'])}:" in report


def test_a_sweep_gives_a_folder_a_job(folder):
    run(
        folder,
        "relcon-pretrain",
        "-m",
        "model.temperature=0.1,1",
        "model.distance_checkpoint=runs/watch/distance/seed0",
        *TINY,
    )
    found = sorted(p.parent.parent for p in (folder / "runs" / "watch" / "sweeps").rglob("last.ckpt"))
    assert len(found) == 2
    assert len({p.name for p in found}) == 2


def test_two_ranks_share_one_run(folder):
    run(folder, "relcon-pretrain", "model=distance", "trainer=ddp_cpu", "name=ddp", *TINY)
    made = folder / "runs" / "watch" / "distance" / "ddp"
    assert (made / "checkpoints" / "last.ckpt").exists()
    assert len(list((made / "wandb").glob("offline-run-*"))) == 1
    assert len(list((made / "csv").glob("metrics*.csv"))) == 1
    output = run(folder, "relcon-pretrain", "-m", "model=distance", "trainer=ddp_cpu", "seed=7,8", *TINY, code=2)
    assert "torchrun" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=relcom"], "Could not find 'model/relcom'"),
        (["name=x", "model=relcon"], "model.distance_checkpoint must be given"),
        (["name=x", "model.distance_checkpoint=nowhere.ckpt"], "There is no checkpoint at nowhere.ckpt"),
        (["name=x", "model.distance_checkpoint=runs/watch/relcon/seed0/split.json"], "not a checkpoint"),
        (["name=x", "model=distance", "data.root=elsewhere"], "There is no cohort store at elsewhere/watch"),
        (["name=x", "model=distance", "data.sampling_rate=50"], "holds signals at 100 Hz but 50 Hz are expected"),
        (["name=x", "model=distance", "data.window_s=60"], "fewer than"),
        (["model=distance", *TINY], "holds a finished run"),
        (["name=x", "model=distance", "data.participants_per_batch=7"], "cannot be divided"),
    ],
)
def test_mistakes_are_named_before_work_starts(folder, arguments, message):
    code = 1 if "Could not find" in message else 2
    output = run(folder, "relcon-pretrain", *arguments, code=code)
    assert message in " ".join(output.split())
    assert "Traceback" not in output


def test_help_shows_examples_and_choices():
    for command in ("relcon-prepare", "relcon-pretrain", "relcon-eval"):
        output = run(Path.cwd(), command, "--help")
        assert command in output
        assert "data: " in output
        assert "watch" in output


def test_a_cohort_can_be_looked_at_before_training(folder):
    output = run(folder, "relcon-inspect")
    page = folder / "reports" / "watch" / "cohort" / "cohort.html"
    assert "reports/watch/cohort/cohort.html" in output.splitlines()[-1]
    for text in (output, page.read_text()):
        assert "Participants" in text
        assert "10" in text
        assert "Norm at rest" in text
    assert "data:image/png;base64," in page.read_text()
    assert "no cohort store at data/wisdm" in run(folder, "relcon-inspect", "data=wisdm", code=2).replace("\n", " ")


SIMULATED = ["data=simulated", "data.source.participants=6", "data.source.minutes=0.2", "data.source.laps=2"]


def test_a_prepare_that_was_killed_leaves_nothing_that_is_read_and_can_be_run_again(tmp_path):
    program = Path(sys.executable).parent / "relcon-prepare"
    command = [program, "data=simulated", "data.source.participants=400", "data.source.minutes=1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if any(file.stat().st_size for file in (tmp_path / "data").glob(".simulated.*.partial/signals/*")):
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert not (tmp_path / "data" / "simulated").exists()
    assert list((tmp_path / "data").iterdir())
    assert "no cohort store" in run(tmp_path, "relcon-inspect", "data=simulated", code=2)
    run(tmp_path, "relcon-prepare", *SIMULATED)
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["simulated"]
    assert len(CohortStore.open(tmp_path / "data" / "simulated").participants) == 6


def test_gait_of_simulated_people_is_regressed_beside_all_floors(folder):
    run(folder, "relcon-prepare", *SIMULATED)
    output = run(
        folder,
        "relcon-eval",
        "checkpoint=runs/watch/relcon/seed0",
        "data=simulated",
        "task=gait_simulated",
        "seeds=[0]",
    )
    report = folder / "reports" / "simulated" / "gait"
    scores = pd.read_parquet(report / "scores.parquet")
    assert set(scores["level"]) == {"stride_velocity", "double_support"}
    assert {"relcon", "random encoder", "hand-crafted + forest", "training mean"} <= set(scores["system"])
    assert scores[scores["metric"] == "mae"]["value"].notna().all()
    for text in (output, (report / "report.md").read_text()):
        assert "simulated people" in text
        assert "training mean" in text
    assert "SIMULATED wrist accelerometry" in (report / "report.md").read_text()
    assert (report / "scatter_stride_velocity.png").stat().st_size > 5000
    split = json.loads((report / "splits" / "0.json").read_text())
    assert (len(split["train"]), len(split["test"])) == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["task=gait_simulated", "probe=mlp"], "MLP probe does not predict numbers"),
        (["task=gait_simulated", "+task.position=ankle"], "is for the ankle, .* was recorded on the wrist"),
        (["task=gait_simulated", "+task.stratify=sex"], "no column 'sex' to stratify by"),
        (["task=workout_simulated", "+task.classes=[skiing]"], "no segment labelled skiing"),
        (["task=gait_simulated", "+task.targets.cadence=hz"], "no target 'cadence'"),
        (
            ["task=workout_simulated", "task.participants=[simulated-0000,nobody]"],
            "nobody of task.participants have no windows",
        ),
    ],
)
def test_a_task_that_does_not_fit_the_store_is_named(folder, arguments, message):
    if not (folder / "data" / "simulated").exists():
        run(folder, "relcon-prepare", *SIMULATED)
    output = run(
        folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "data=simulated", *arguments, "name=x", code=2
    )
    assert re.search(message, output.replace("\n", " ")), output
