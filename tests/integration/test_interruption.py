"""Runs that a signal or Ctrl-C ends, and that go on."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.commands import TINY, fork, wandb_records
from tests.integration.resumed import EIGHT, NOW, STEPS, content, equal, metrics, values


def test_accumulated_gradients_are_of_whole_steps_when_a_run_is_asked_to_end(folder):
    arguments = ["model=simclr", *EIGHT, "logger=csv", "trainer.max_steps=4", "+trainer.accumulate_grad_batches=2"]
    fork(folder, "relcon-pretrain", *arguments, "name=accumulated")
    stop = [f"{NOW}SignalAt", "+callbacks.stop.step=1", "+callbacks.stop.name=SIGTERM"]
    fork(folder, "relcon-pretrain", *arguments, "name=accumulated_stopped", *stop, code=75)
    fork(folder, "relcon-pretrain", *arguments, "name=accumulated_stopped", "resume=auto")
    whole, stopped = (folder / "runs" / "watch" / "simclr" / f"accumulated{end}" for end in ("", "_stopped"))
    assert content(whole)["global_step"] == 4
    assert equal(content(whole)["state_dict"], content(stopped)["state_dict"])
    assert values(whole) == values(stopped)


@pytest.fixture(scope="module")
def terminated(folder):
    """A run that was asked to end in its fifth step, and what it said."""
    arguments = ["model=distance", *EIGHT, "name=terminated"]
    output = fork(
        folder,
        "relcon-pretrain",
        *arguments,
        f"{NOW}SignalAt",
        "+callbacks.stop.step=4",
        "+callbacks.stop.name=SIGTERM",
        code=75,
    )
    return folder / "runs" / "watch" / "distance" / "terminated", output, arguments


def test_a_run_asked_to_end_saves_the_step_it_was_in_and_ends_with_a_code_of_its_own(terminated):
    made, output, _ = terminated
    assert content(made)["global_step"] == 5
    assert "Continue with resume=auto" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_says_what_is_kept_and_the_run_goes_on(folder, times):
    arguments = ["model=distance", *EIGHT, f"name=interrupted{times}", "logger=csv"]
    stop = [f"{NOW}SignalAt", "+callbacks.stop.step=4", "+callbacks.stop.name=SIGINT"]
    if times == 2:  # at once: the step is not finished
        stop += [word.replace(".stop", ".again", 1) for word in stop]
        stop[3] = "+callbacks.again._target_=tests.integration.stopping.SignalAt"
    output = fork(folder, "relcon-pretrain", *arguments, *stop, code=130)
    made = folder / "runs" / "watch" / "distance" / f"interrupted{times}"
    said = " ".join(output.split())
    assert (
        "after 5 steps. Continue with resume=auto" if times == 1 else "is from step 3: continue with resume=auto"
    ) in said
    assert "Traceback" not in output
    assert content(made)["global_step"] == (5 if times == 1 else 3)
    fork(folder, "relcon-pretrain", *arguments, "resume=auto")
    assert metrics(made)["train/loss"].index.tolist() == list(range(STEPS))


@pytest.mark.parametrize(
    ("name", "code", "word"), [("SIGTERM", 75, "Stopped by a signal."), ("SIGINT", 130, "Interrupted.")]
)
def test_a_signal_before_training_begins_ends_with_the_same_code_as_later(folder, name, code, word):
    arguments = ["model=simclr", *TINY, f"name=before{name}", "logger=csv", f"{NOW}SignalNow"]
    output = fork(folder, "relcon-pretrain", *arguments, f"+callbacks.stop.name={name}", code=code)
    assert output.strip() == f"{word} Continue with the same command and resume=auto."
    assert not (folder / "runs" / "watch" / "simclr" / f"before{name}" / "run.json").exists()


def test_ctrl_c_ends_a_sweep_with_the_summary_of_its_jobs_and_it_goes_on(folder):
    arguments = ["-m", "model=simclr", *EIGHT, "logger=csv", "hydra.sweep.dir=runs/watch/ended", "seed=0,1,2"]
    arguments += ["hydra.sweep.subdir=${seed}"]
    stop = [f"{NOW}SignalAt", "+callbacks.stop.step=4", "+callbacks.stop.name=SIGINT", "+callbacks.stop.seed=${seed}"]
    output = fork(folder, "relcon-pretrain", *arguments, *stop, code=130)
    assert re.search(r"/0: val/knn_f1 [\d.]+\n.*/1: stopped\nBest, with the highest .*/0\n", output)
    assert "Continue with the same command and resume=auto" in output
    output = fork(folder, "relcon-pretrain", *arguments, "resume=auto")
    values = re.findall(r"/\d: val/knn_f1 ([\d.]+)", output)
    assert len(values) == 3  # also of the one that had nothing left to train
    assert values[0] == f"{metrics(folder / 'runs' / 'watch' / 'ended' / '0')['val/knn_f1'].iloc[-1]:.4f}"


def test_what_went_on_is_one_run_to_those_who_read_it(folder, terminated):
    made, _, arguments = terminated
    fork(folder, "relcon-pretrain", *arguments, "resume=auto")
    assert metrics(made)["train/loss"].index.tolist() == list(range(STEPS))
    ids = set()
    for file in sorted((made / "wandb").glob("offline-run-*/*.wandb")):
        ids |= {record.run.run_id for record in wandb_records(file) if record.WhichOneof("record_type") == "run"}
    assert len(list((made / "wandb").glob("offline-run-*"))) == 2
    assert len(ids) == 1
    assert json.loads((made / "run.1.json").read_text())["config"]["resume"] is None
    assert json.loads((made / "run.json").read_text())["config"]["resume"] == "auto"
