"""Runs that are killed, damaged, repeated or trained on."""

from __future__ import annotations

import json
import os
import random
import re
import signal

import pandas as pd
import pytest
import torch

from relcon_lightning.lock import lock
from relcon_lightning.runs.checkpoint import load_distance
from tests.integration.commands import TINY, fork
from tests.integration.resumed import EIGHT, METHODS, NOW, STEPS, content, equal, metrics, values


@pytest.mark.parametrize("method", METHODS)
def test_a_run_killed_at_any_step_goes_on_to_the_same_weights_and_losses(folder, method):
    step = random.randrange(STEPS)
    arguments = [*METHODS[method], *EIGHT]
    fork(folder, "relcon-pretrain", *arguments, "name=whole")
    fork(
        folder, "relcon-pretrain", *arguments, "name=killed", f"{NOW}SignalAt", f"+callbacks.stop.step={step}", code=-9
    )
    output = fork(folder, "relcon-pretrain", *arguments, "name=killed", "resume=auto")
    assert ("Resuming from" if step > 3 else "starting a new run") in output or step == 3, (step, output)
    whole, killed = folder / "runs" / "watch" / method / "whole", folder / "runs" / "watch" / method / "killed"
    assert content(whole)["global_step"] == STEPS
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        assert equal(content(whole)[part], content(killed)[part]), f"{part} differs after a kill at step {step}"
    best = [torch.load(made / "checkpoints" / "best.ckpt", weights_only=True) for made in (whole, killed)]
    for part in ("state_dict", "global_step"):
        assert equal(best[0][part], best[1][part]), f"{part} of the best differs after a kill at step {step}"
    assert best[0]["relcon_lightning"]["chosen"] == best[1]["relcon_lightning"]["chosen"]
    expected, found = metrics(whole), metrics(killed)
    assert expected.keys() == found.keys()
    for name in expected:
        pd.testing.assert_series_equal(expected[name], found[name], check_exact=True, obj=f"{name}, killed at {step}")


@pytest.fixture(scope="module")
def logged(folder):
    """All values of a run that was not interrupted, as (step, metric)."""
    fork(folder, "relcon-pretrain", "model=simclr", *EIGHT, "logger=csv", "name=in_one_go")
    return values(folder / "runs" / "watch" / "simclr" / "in_one_go")


@pytest.mark.parametrize(
    ("hook", "step"),
    [
        ("on_validation_batch_start", 3),
        ("on_validation_batch_start", 6),
        ("on_validation_end", 6),  # logged, but not saved
        ("on_train_batch_start", 6),  # logged by half for the next step
        ("on_before_zero_grad", 6),  # saved, but the next step is not logged
        ("on_train_batch_end", 8),
        ("on_train_epoch_end", 8),
    ],
)
def test_a_run_killed_around_a_validation_has_each_value_once(folder, logged, hook, step):
    arguments = ["model=simclr", *EIGHT, "logger=csv", f"name=killed_{hook}{step}"]
    stop = [f"{NOW}KillIn", f"+callbacks.stop.hook={hook}", f"+callbacks.stop.step={step}"]
    fork(folder, "relcon-pretrain", *arguments, *stop, code=-9)
    fork(folder, "relcon-pretrain", *arguments, "resume=auto")
    made = folder / "runs" / "watch" / "simclr" / f"killed_{hook}{step}"
    assert values(made) == logged
    assert content(made)["global_step"] == STEPS


def test_the_last_step_is_kept_whatever_ends_the_training(folder, logged):
    arguments = ["model=simclr", *EIGHT, "logger=csv", "name=ended"]
    fork(folder, "relcon-pretrain", *arguments, f"{NOW}EndAt", "+callbacks.stop.step=5")
    made = folder / "runs" / "watch" / "simclr" / "ended"
    assert content(made)["global_step"] == 5
    fork(folder, "relcon-pretrain", *arguments, "resume=auto")
    additional = [one for one in values(made) if one[0] == 4 and one[1].startswith("val/")]  # validated as it ended
    assert [one for one in values(made) if one not in additional] == logged


def test_a_truncated_checkpoint_is_passed_over(folder):
    arguments = ["model=distance", *EIGHT, "name=truncated"]
    fork(folder, "relcon-pretrain", *arguments, f"{NOW}SignalAt", "+callbacks.stop.step=7", code=-signal.SIGKILL)
    checkpoints = folder / "runs" / "watch" / "distance" / "truncated" / "checkpoints"
    last = checkpoints / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    output = fork(folder, "relcon-pretrain", *arguments, "resume=auto")
    assert "Skipped" in output
    assert "6.ckpt, after 6 steps" in " ".join(output.split())
    for path in checkpoints.iterdir():
        path.write_bytes(b"PK")
    output = fork(folder, "relcon-pretrain", *arguments, "resume=auto", code=2)
    assert "No checkpoint in" in output


def test_a_nan_stops_the_run_names_the_batch_and_leaves_a_checkpoint_to_go_on_from(folder):
    arguments = ["model=distance", *EIGHT, "name=poisoned"]
    output = fork(folder, "relcon-pretrain", *arguments, f"{NOW}PoisonAt", "+callbacks.stop.step=4", code=2)
    made = folder / "runs" / "watch" / "distance" / "poisoned"
    batch = torch.load(made / "not_finite" / "step4-rank0.pt", weights_only=True)
    said = " ".join(output.split())
    assert f"at step 4. Windows of {batch['participants'][0]} are not finite" in said
    assert "not_finite/step4-rank0.pt" in said
    assert "Traceback" not in output
    assert content(made)["global_step"] == 3
    fork(folder, "relcon-pretrain", *arguments, "resume=auto")
    assert content(made)["global_step"] == STEPS


def test_a_run_is_made_again_from_its_folder(folder):
    fork(folder, "relcon-pretrain", "model=distance", *EIGHT, "seed=3", "name=first")
    first = folder / "runs" / "watch" / "distance" / "first"
    output = fork(folder, "relcon-pretrain", f"from_run={first}")
    again = first.with_name("first-again")
    assert "can differ" not in output
    assert equal(content(first)["state_dict"], content(again)["state_dict"])
    output = fork(folder, "relcon-pretrain", f"from_run={first}", "name=other", "model.learning_rate=0.1")
    assert "model.learning_rate: 0.001 -> 0.1" in output
    output = fork(folder, "relcon-pretrain", "from_run=runs/watch", code=2)
    assert "not a run that can be repeated" in output


def test_a_run_folder_says_what_made_it(folder):
    record = json.loads((folder / "runs" / "watch" / "distance" / "seed0" / "run.json").read_text())
    assert record["versions"]["torch"] == torch.__version__
    assert record["config"]["model"]["name"] == "distance"
    assert len(record["data"]["cohort.json"]) == 64
    assert record["command"].startswith("relcon-pretrain model=distance")


@pytest.mark.parametrize("method", ["distance", "relcon"])
def test_one_seed_gives_one_result_whatever_the_number_of_workers(folder, method):
    arguments = [*METHODS[method], *EIGHT, "seed=5"]
    for workers in (0, 2):
        fork(folder, "relcon-pretrain", *arguments, f"name=workers{workers}", f"data.num_workers={workers}")
    made = folder / "runs" / "watch" / method
    expected = metrics(made / "workers0")
    found = metrics(made / "workers2")
    assert expected.keys() == found.keys()
    for name in expected:
        pd.testing.assert_series_equal(expected[name], found[name], check_exact=True)
    assert equal(content(made / "workers0")["state_dict"], content(made / "workers2")["state_dict"])


def test_a_finished_run_is_trained_on_and_its_schedule_is_that_of_the_new_length(folder):
    base = ["model=simclr", *EIGHT, "logger=csv"]
    fork(folder, "relcon-pretrain", *base, "trainer.max_steps=4", "name=longer")
    made = folder / "runs" / "watch" / "simclr" / "longer"
    before = (made / "run.json").read_text()
    base += ["name=longer", "resume=auto"]
    said = fork(folder, "relcon-pretrain", *base, "trainer.max_steps=4")
    assert "has all 4 steps, so there is nothing left to train" in " ".join(said.split())
    said = fork(folder, "relcon-pretrain", *base, "trainer.max_steps=3", code=2)
    assert "has 4 steps, more than trainer.max_steps=3" in " ".join(said.split())
    assert (made / "run.json").read_text() == before
    said = " ".join(fork(folder, "relcon-pretrain", *base).split())
    assert f"CosineAnnealingLR now ends at step {STEPS} instead of step 4: the learning rate at step 4 changes" in said
    assert "from 0 to 0.0005." in said
    said = fork(folder, "relcon-pretrain", *base, "name=at_once", "resume=null")
    assert "now ends at step" not in " ".join(said.split())
    assert content(made)["global_step"] == STEPS
    assert metrics(made)["train/loss"].index.tolist() == list(range(STEPS))
    runs = (metrics(made), metrics(made.with_name("at_once")))
    rate, expected = (next(run[name] for name in run if name.startswith("lr-")).tolist() for run in runs)
    assert rate[4:] == expected[4:]
    assert json.loads((made / "run.json").read_text())["config"]["trainer"]["max_steps"] == STEPS


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(folder):
    made = folder / "runs" / "watch" / "distance" / "seed0"
    before = (made / "run.json").read_text()
    changes = ["model.learning_rate=0.5", "data.batch_size=4", "trainer.max_steps=9"]
    output = fork(folder, "relcon-pretrain", "model=distance", *TINY, *changes, "resume=auto", code=2)
    said = " ".join(output.split())
    assert "model.learning_rate: 0.001 -> 0.5" in said
    assert "data.batch_size: 8 -> 4" in said
    assert "max_steps:" not in said
    assert (made / "run.json").read_text() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("logger", ["csv", "wandb"])
def test_a_gpu_that_is_not_there_leaves_no_run(folder, logger):
    before = sorted(folder.rglob("*"))
    arguments = ["model=distance", f"logger={logger}", "trainer.accelerator=gpu", "name=gpu"]
    said = fork(folder, "relcon-pretrain", *TINY, *arguments, code=2)
    assert "Set trainer=cpu" in " ".join(said.split())
    assert sorted(folder.rglob("*")) == before


def test_a_replaced_run_leaves_nothing_to_go_on_from(folder):
    arguments = ["model=distance", *EIGHT, "name=replaced", "logger=csv"]
    fork(folder, "relcon-pretrain", *arguments)
    stop = [f"{NOW}SignalAt", "+callbacks.stop.step=1"]
    fork(folder, "relcon-pretrain", *arguments, "seed=7", "overwrite=true", *stop, code=-9)
    output = fork(folder, "relcon-pretrain", *arguments, "seed=7", "resume=auto")
    assert "starting a new run" in " ".join(output.split())
    assert content(folder / "runs" / "watch" / "distance" / "replaced")["relcon_lightning"]["config"]["seed"] == 7


@pytest.mark.parametrize("place", ["{runs}/../../thesis", "{thesis}", "checkpoints/../../../../../thesis"])
def test_a_strangers_checkpoint_removes_nothing(folder, place, tmp_path):
    thesis = folder / "thesis"
    thesis.mkdir(exist_ok=True)
    (thesis / "chapter.tex").write_text("three years")
    made = folder / "runs" / "watch" / "distance" / "seed0"
    named = place.format(runs=made / "checkpoints", thesis=thesis)
    target = folder / "runs" / "watch" / "distance" / f"attacked{abs(hash(place))}" / "checkpoints"
    evil = content(made)
    evil["callbacks"] = {
        "ModelCheckpoint{'monitor': None, 'mode': 'min', 'every_n_train_steps': 2, 'every_n_epochs': 0, "
        "'train_time_interval': None}": {
            **dict.fromkeys(("best_model_path", "last_model_path", "kth_best_model_path"), named),
            "best_k_models": {named: torch.tensor(1.0)},
            "best_model_score": None,
            "kth_value": torch.tensor(1.0),
            "dirpath": str(target),
        }
    }
    path = tmp_path / "evil.ckpt"
    torch.save(evil, path)
    arguments = ["model=distance", *TINY, "trainer.max_steps=6", f"name={target.parent.name}", f"resume='{path}'"]
    fork(folder, "relcon-pretrain", *arguments, "logger=csv")
    assert (thesis / "chapter.tex").read_text() == "three years"
    assert content(target.parent)["global_step"] == 6
    assert "thesis" not in str(content(target.parent)["callbacks"])


def test_whom_the_distance_was_trained_on_is_not_unseen_to_relcon(folder):
    entry = content(folder / "runs" / "watch" / "relcon" / "seed0")["relcon_lightning"]
    distance = content(folder / "runs" / "watch" / "distance" / "seed0")["relcon_lightning"]
    [part] = entry["built_from"]
    assert part["role"] == "distance"
    assert part["participants"] == [distance["participants"]]
    assert part["config"]["model"]["name"] == "distance"
    own, first = (load_distance(folder / "runs" / "watch" / name / "seed0") for name in ("relcon", "distance"))
    assert equal(dict(own.state_dict()), dict(first.state_dict()))  # RelCon carries its distance


def test_two_processes_do_not_train_in_one_folder(folder):
    made = folder / "runs" / "watch" / "distance" / "shared"
    made.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["model=distance", *TINY, "name=shared", "logger=csv", "resume=auto"]
    with lock(made):
        said = " ".join(fork(folder, "relcon-pretrain", *arguments, code=2).split())
    assert f"is in use: process {os.getpid()} on" in said
    assert not (made / "run.json").exists()
    (made.parent / ".shared.lock").write_text("process 1 on a machine that was switched off")  # left by kill -9
    fork(folder, "relcon-pretrain", *arguments)
    assert content(made)["global_step"] == 2
    assert not (made.parent / ".shared.lock").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model.learning_rate=-1", "Invalid learning rate: -1"),  # refused when training begins
        ("encoder.width=0", "encoder"),
    ],
)
def test_a_run_that_trains_nothing_does_not_replace_the_one_before(folder, word, message):
    arguments = ["model=simclr", *TINY, "trainer.max_steps=1", "name=kept", "logger=csv"]
    made = folder / "runs" / "watch" / "simclr" / "kept"
    if not made.exists():
        fork(folder, "relcon-pretrain", *arguments)
    kept = {path: path.read_bytes() for path in made.rglob("*") if path.is_file() and ".hydra" not in path.parts}
    output = fork(folder, "relcon-pretrain", *arguments, "overwrite=true", word, code=2)
    assert re.search(message, output)
    assert "Traceback" not in output
    assert {path: path.read_bytes() for path in kept} == kept
    assert not (made / ".replaced").exists()


def test_a_finished_run_is_compared_before_it_is_called_finished(folder):
    said = fork(folder, "relcon-pretrain", "model=simclr", *TINY, "resume=runs/watch/distance/seed0", code=2)
    assert "belongs to another run" in said
    assert "model.name: distance -> simclr" in said


def test_what_cannot_be_resumed_is_named(folder):
    run = ["relcon-pretrain", "model=simclr", *TINY, "name=odd"]
    for given, message in (
        ("1", "resume=1: expected auto, or the path"),
        ("", "resume=: expected auto, or the path"),
        ("s3://bucket/last.ckpt", "expected auto, or the path of a checkpoint or run on this machine"),
    ):
        assert message in " ".join(fork(folder, *run, f"resume={given}", code=2).split())
    made = folder / "runs" / "watch" / "simclr" / "odd" / "checkpoints"
    made.mkdir(parents=True)
    (made / "last.ckpt").symlink_to("moved.ckpt")
    assert "is a link to moved.ckpt, which does not exist" in fork(folder, *run, "resume=auto", code=2)
