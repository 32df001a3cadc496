"""``relcon-eval`` as a user types it, on a small cohort in a folder of its own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from relcon_lightning.runs.checkpoint_paths import shipped
from tests.integration.commands import SIMULATED, fork, wandb_records


def test_wandb_gets_scores_tables_and_pictures_of_an_evaluation(folder):
    fork(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "folder=reports/logged", "seeds=[0]")
    [file] = (folder / "reports" / "logged" / "wandb").glob("offline-run-*/run-*.wandb")
    records = wandb_records(file)
    assert next(record.run for record in records if record.HasField("run")).job_type == "eval"
    logged = {item.key or "/".join(item.nested_key) for record in records for item in record.history.item}
    assert "eval/watch/exercise/linear/window/f1/relcon" in logged
    assert any(key.startswith("eval/watch/exercise/linear/Window level") for key in logged)
    assert any(key.startswith("eval/watch/exercise/linear/confusion_recording") for key in logged)
    media = file.parent / "files" / "media"
    assert list(media.rglob("*.table.json"))
    assert list(media.rglob("*.png"))


def test_reports_name_the_shipped_encoder_and_not_its_place(folder):
    name = "open-wrist-small"
    said = fork(
        folder,
        "relcon-eval",
        f"checkpoint=[{name},runs/watch/relcon/seed0]",
        "name=shipped",
        "seeds=[0]",
        "logger=csv",
    )
    report = folder / "reports" / "watch" / "shipped"
    assert json.loads((report / "systems.json").read_text()) == {name: [name], "relcon": ["runs/watch/relcon/seed0"]}
    assert f"- Checkpoints: {name}: {name}; relcon: runs/watch/relcon/seed0" in (report / "report.md").read_text()
    place = str(shipped()[name])
    assert place not in said
    assert not [path for path in report.rglob("*") if path.is_file() and place.encode() in path.read_bytes()]


def test_evaluation_prints_and_writes_the_table_with_all_baselines(folder):
    output = fork(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0")
    report = folder / "reports" / "watch" / "exercise"
    markdown = (report / "report.md").read_text()
    for text in ("relcon", "random encoder", "random, normalised", "hand-crafted + forest"):
        assert text in output
        assert markdown.count(f"| {text} |") == 7  # window and recording, by folds and with their comparisons, cost
    assert "report.html" in output
    scores = pd.read_parquet(report / "scores.parquet")
    assert len(scores) == 4 * 2 * 4 * 3
    metrics = pd.read_csv(report / "csv" / "metrics.csv")
    assert "eval/watch/exercise/linear/recording/f1/relcon" in metrics


def test_another_evaluation_does_not_take_the_folder_of_this_one(folder):
    words = ["relcon-eval", "checkpoint=runs/watch/relcon/seed0", "seeds=[0]", "logger=csv"]
    fork(folder, *words, "name=protected")
    report = folder / "reports" / "watch" / "protected" / "report.md"
    first = report.read_text()
    assert "PEN" not in first  # codes that this cohort does not have
    output = fork(folder, *words, "name=protected", "task.stride_s=1.28", code=2)
    assert "contains another evaluation (task.stride_s=2.56 there, 1.28 now)" in output
    assert report.read_text() == first
    fork(folder, *words, "name=protected")  # the same one
    fork(folder, *words, "name=protected", "task.stride_s=1.28", "overwrite=true")
    assert report.read_text() != first


def test_the_report_shows_how_what_it_judges_was_trained(folder):
    fork(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "folder=reports/shown", "seeds=[0]")
    made = folder / "runs" / "watch" / "relcon" / "seed0"
    for name, caption in (
        ("curves", "Training of relcon"),
        ("ranking", "Windows ranked by the distance of relcon"),
        ("ranking_embedding", "The same windows ranked by the embedding of relcon"),
    ):
        assert (folder / "reports" / "shown" / f"{name}_0.png").read_bytes() == (made / f"{name}.png").read_bytes()
        assert caption in (folder / "reports" / "shown" / "report.html").read_text()


def test_several_runs_are_compared_with_nets_that_learn_from_the_labels(folder):
    """A pattern finds RelCon's run and passes over the distance's; supervised nets stand beside it."""
    output = fork(
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
    output = fork(
        folder,
        "relcon-eval",
        "checkpoint=runs/watch/relcon/seed0",
        f"task.participants=[{asked}]",
        "overwrite=true",
        code=2,
    )
    assert re.search(r"1 of 5 participants were used to pre-train", output)
    assert "Traceback" not in output
    report = (folder / "reports/watch/exercise/report.md").read_text()
    assert f"- Participants: {', '.join(split['test'])}:" in report


def test_gait_of_simulated_people_is_regressed_beside_all_baselines(folder):
    fork(folder, "relcon-prepare", *SIMULATED)
    output = fork(
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
            "task.participants names nobody, who is not in",
        ),
    ],
)
def test_a_task_that_does_not_fit_the_store_is_named(folder, arguments, message):
    if not (folder / "data" / "simulated").exists():
        fork(folder, "relcon-prepare", *SIMULATED)
    output = fork(
        folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "data=simulated", *arguments, "name=x", code=2
    )
    assert re.search(message, output.replace("\n", " ")), output


def test_offline_the_dashboard_says_what_it_would_build(folder):
    if not (folder / "reports" / "watch" / "exercise").exists():
        fork(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "seeds=[0]")
    output = fork(folder, "relcon-dashboard")
    assert "W&B is offline" in output
    assert "loss (line): train/loss, val/loss" in output
    assert "exercise: f1 by window, linear (bar): eval/watch/exercise/linear/window/f1/" in output
    assert json.loads((folder / "reports" / "dashboard.json").read_text())["project"] == "relcon"


def test_checkpoints_and_tasks_are_swept(folder):
    if not (folder / "data" / "simulated").exists():
        fork(folder, "relcon-prepare", *SIMULATED)
    swept = ("checkpoint=runs/watch/relcon/seed0", "task=gait_simulated,workout_simulated", "seeds=[0]")
    fork(folder, "relcon-eval", "-m", "data=simulated", *swept, "hydra.sweep.dir=reports/swept")
    titles = {json.loads(path.read_text())["title"] for path in (folder / "reports" / "swept").glob("*/facts.json")}
    assert titles == {"Gait regression (simulated people)", "Workout classification (simulated people)"}


def test_reports_are_gathered_into_tables(folder):
    if not (folder / "reports" / "watch" / "exercise").exists():
        fork(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", "seeds=[0]")
    output = fork(folder, "relcon-report", 'reports="reports/watch/exercise"')
    assert "reports/tables.html" in output.splitlines()[-1]
    assert "random encoder (baseline)" in (folder / "reports" / "tables.md").read_text()
    assert "matches no folder of relcon-eval" in fork(folder, "relcon-report", "reports=nowhere", code=2)


SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.skipif(not (SHARED / "mobilised_lab").is_dir(), reason=f"the Mobilise-D recordings are not at {SHARED}")
def test_the_strides_of_real_people_are_regressed(folder):
    fork(folder, "relcon-prepare", "data=mobilised", f"data.raw_dir={SHARED / 'mobilised_lab'}")
    arguments = ("data=mobilised", "task=gait_mobilised", "seeds=[0]")
    output = fork(folder, "relcon-eval", "checkpoint=runs/watch/relcon/seed0", *arguments)
    assert "no verdict: " in output
    predictions = pd.read_parquet(folder / "reports" / "mobilised" / "gait" / "predictions.parquet")
    assert predictions["participant"].nunique() == 3
    velocity = predictions.query("level == 'stride_velocity'")["label"]
    support = predictions.query("level == 'double_support'")["label"]
    assert velocity.between(0.05, 2).all()
    assert support.between(0.02, 1.5).all()
    assert len(velocity) > 30
