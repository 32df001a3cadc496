"""Folders and summaries of sweeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.cli.sweep import Job, Sweep, job_folder
from relcon_lightning.training.objective import direction_of

KEYS = ["model.temperature", "temperature", "model.distance_checkpoint", "seed", "+view.n", "~callbacks.x"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.temperature=0.1"], "model.temperature-0.1-seed0"),
        (["model=simclr", "data=wisdm", "seed=0", "resume=auto", "overwrite=true"], "seed0"),
        (["trainer.max_steps=3", "model.learning_rate=1e-3"], "model.learning_rate-1e-3__trainer.max_steps-3-seed0"),
    ],
)
def test_few_keys_stay_readable(overrides, expected):
    assert job_folder(overrides, "seed0") == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["model.distance_checkpoint=runs/d/A"], ["model.distance_checkpoint=runs/d/B"]),
        (["model.distance_checkpoint=a/b"], ["model.distance_checkpoint=a_b"]),
        (["model.temperature=1"], ["temperature=1"]),
        (["model.temperature=1", "temperature=2"], ["model.temperature=2", "temperature=1"]),
        (["paths.data=/a"], ["paths.data=/b"]),
        (["name=x", "seed=0"], ["name=x", "seed=1"]),
        ([f"data.a{i}=1" for i in range(40)], [f"data.a{i}=1" for i in range(39)] + ["data.a39=2"]),
        (["x=[1,2]"], ["x=[1.2]"]),
        (["x=1__y-2"], ["x=1", "y=2"]),
        (["~callbacks.speed"], ["~callbacks.finite"]),
    ],
)
def test_jobs_that_differ_have_folders_of_their_own(first, second):
    assert job_folder(first, "n") != job_folder(second, "n")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((["resume=a.ckpt"], "seed0"), (["resume=b.ckpt"], "seed0")),
        ((["from_run=A"], "seed0"), (["from_run=B"], "seed0")),
        (([], "a/b"), ([], "a_b")),
        (([], 300 * "a"), ([], 299 * "a" + "b")),
        ((["model=simclr", "model.name=x"], "seed0"), (["model=byol", "model.name=x"], "seed0")),
        ((["data=folder", "data.name=x"], "seed0"), (["data=device", "data.name=x"], "seed0")),
        ((["seed=0"], "fixed"), (["seed=1"], "fixed")),
    ],
)
def test_no_two_jobs_share_a_folder(first, second):
    assert job_folder(*first) != job_folder(*second)
    assert all(len(job_folder(*job)) < 200 for job in (first, second))


def test_a_job_that_goes_on_finds_the_folder_that_it_began_in():
    begun = ["seed=1", "model.temperature=0.1"]
    for more in ("resume=auto", "resume=null", "overwrite=true"):
        assert job_folder([*begun, more], "seed1") == job_folder(begun, "seed1")


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=200)), max_size=30), st.text(max_size=20))
def test_any_override_makes_a_folder_that_file_systems_and_hydra_take(words, name):
    folder = job_folder([f"{key}={value}" for key, value in words], f"n{name}")
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", folder)
    assert len(folder) <= 80 + 9 + 1 + 80
    [parsed] = OverridesParser.create().parse_overrides([f"checkpoint=runs/watch/sweeps/relcon/{folder}"])
    assert parsed.value() == f"runs/watch/sweeps/relcon/{folder}"


def test_the_summary_names_the_best_and_what_failed(capsys):
    sweep = Sweep(
        [
            Job(Path("runs/a"), [], 0.25, "val/knn_f1"),
            Job(Path("runs/b"), [], 0.5, "val/knn_f1"),
            Job(Path("runs/c"), [], error="a loss is NaN\nat step 3"),
            Job(Path("runs/d"), [], None, "val/knn_f1"),
            Job(Path("runs/e"), [], float("nan"), "val/knn_f1"),
            Job(Path("runs/f"), [], stopped=True),
        ],
        "val/knn_f1",
    )
    sweep.tell()
    said = capsys.readouterr().out
    assert sweep.any_failed()
    assert "runs/c: failed: a loss is NaN\n" in said
    assert "runs/a: val/knn_f1 0.2500" in said
    assert "Best, with the highest val/knn_f1 on validation people: relcon-eval checkpoint=runs/b\n" in said
    assert "1 of 6 jobs failed" in said
    assert "runs/f: stopped\n" in said
    assert "Continue with the same command and resume=auto" in said
    assert "runs/d: done, but val/knn_f1 was not logged" in said


@pytest.mark.parametrize(
    ("objective", "direction", "expected"),
    [
        ("val/loss", None, "the lowest val/loss on validation people: relcon-eval checkpoint=runs/a"),
        ("val/alignment", None, "the lowest"),
        ("val/average_precision", None, "the highest"),
        ("val/loss", "maximize", "the highest val/loss on validation people: relcon-eval checkpoint=runs/b"),
        ("val/lossless", None, "set objective_direction=minimize or maximize"),
        ("time/waiting_share", "minimize", "the lowest"),
    ],
)
def test_the_best_is_named_by_the_direction_that_is_set_or_known(objective, direction, expected):
    jobs = [Job(Path("runs/a"), [], 0.25, objective), Job(Path("runs/b"), [], 0.5, objective)]
    assert expected in "\n".join(Sweep(jobs, objective, direction).summary())


def test_the_only_job_that_went_well_is_the_best():
    jobs = [Job(Path("runs/a"), [], 0.25, "val/knn_f1"), Job(Path("runs/b"), [], error="no GPU")]
    assert "relcon-eval checkpoint=runs/a" in "\n".join(Sweep(jobs, "val/loss").summary())


def test_jobs_with_other_objectives_are_not_compared():
    jobs = [Job(Path("runs/a"), [], 0.2, "val/average_precision"), Job(Path("runs/b"), [], 0.5, "val/knn_f1")]
    said = "\n".join(Sweep(jobs, "val/knn_f1").summary())
    assert "runs/a: val/average_precision 0.2000\n" in said
    assert "No best job is named: val/average_precision and val/knn_f1 cannot be compared" in said


def test_jobs_without_an_objective_are_done():
    assert "  runs/a: done" in Sweep([Job(Path("runs/a"), [])]).summary()


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_the_default_objectives_have_a_direction(kind):
    assert direction_of(f"val/{kind}_f1") == "maximize"
    assert direction_of("time/anchors_per_s") is None


def test_a_single_job_that_went_well_needs_no_summary(capsys):
    Sweep([Job(Path("runs/a"), [], 0.25, "val/knn_f1")], "val/knn_f1").tell()
    Sweep().tell()
    assert capsys.readouterr().out == ""
