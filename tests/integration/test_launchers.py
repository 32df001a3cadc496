"""Sweeps whose jobs other programs start: torchrun, SLURM (as far as it sets variables), and submitit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from relcon_lightning.data import CohortStore
from tests.integration.commands import TINY, run

EIGHT = ["model=distance", *TINY, "trainer.max_steps=8", "trainer.val_check_interval=3"]
SWEEP = ["-m", *EIGHT, "seed=0,1", "hydra.sweep.subdir=seed${seed}"]
STOP = ["+callbacks.stop._target_=tests.integration.stopping.SignalAt", "+callbacks.stop.step=4"]


def jobs(folder, sweep):
    """The folders of the two jobs, which hold one run each."""
    made = sorted((folder / "runs" / "watch" / sweep).glob("seed*"))
    assert [job.name for job in made] == ["seed0", "seed1"]
    for seed, job in enumerate(made):
        content = torch.load(job / "checkpoints" / "last.ckpt", weights_only=True)
        assert content["global_step"] == 8
        assert json.loads((job / "run.json").read_text())["config"]["seed"] == seed
        steps = pd.read_csv(job / "csv" / "metrics.csv").dropna(subset="train/loss")["step"]
        assert steps.tolist() == list(range(8))
    return made


def by_torchrun(folder, *arguments):
    run(folder, "torchrun", "--nproc-per-node=2", "-m", "relcon_lightning.cli.pretrain", *arguments, timeout=600)


def by_srun(folder, *arguments):
    """A process a task, that SLURM tells who it is."""
    task = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "relcon", "SLURM_NODELIST": "127.0.0.1", "SLURM_NODEID": "0"}
    task |= {"SLURM_NNODES": "1", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    tasks = [task | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in "01"]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda task: run(folder, "relcon-pretrain", *arguments, variables=task, timeout=600), tasks))


@pytest.mark.parametrize("start", [by_torchrun, by_srun])
def test_two_ranks_that_were_started_sweep_as_one(folder, start):
    start(folder, *SWEEP, "trainer=ddp_cpu", f"hydra.sweep.dir=runs/watch/{start.__name__}")
    for job in jobs(folder, start.__name__):
        assert len(list((job / "wandb").glob("offline-run-*"))) == 1
        assert [path.name for path in job.glob("run*.json")] == ["run.json"]


def test_submitit_queues_a_job_again_that_was_asked_to_end_and_it_goes_on(folder):
    arguments = [*SWEEP, "hydra/launcher=submitit_local", "hydra.sweep.dir=runs/watch/queued", "resume=auto"]
    run(folder, "relcon-pretrain", *arguments, *STOP, "+callbacks.stop.name=SIGUSR2")
    run(folder, "relcon-pretrain", *EIGHT, "seed=1", "name=unqueued")
    whole = folder / "runs" / "watch" / "distance" / "unqueued"
    queued = jobs(folder, "queued")
    for job in queued:  # twice begun
        assert [path.name for path in sorted(job.glob("run*.json"))] == ["run.1.json", "run.json"]
    losses = [pd.read_csv(made / "csv" / "metrics.csv")["train/loss"].dropna() for made in (whole, queued[1])]
    pd.testing.assert_series_equal(*losses, check_exact=True, check_index=False)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2"])
def test_without_submitit_either_signal_saves_and_ends(folder, name):
    output = run(folder, "relcon-pretrain", *EIGHT, f"name={name}", *STOP, f"+callbacks.stop.name={name}", code=75)
    assert "Continue with resume=auto" in output
    path = folder / "runs" / "watch" / "distance" / name / "checkpoints" / "last.ckpt"
    assert torch.load(path, weights_only=True)["global_step"] == 5


def test_jobs_that_submitit_starts_prepare_the_parts_of_a_cohort(tmp_path):
    (tmp_path / "walks").mkdir()
    t = np.arange(0, 4, 1 / 50)
    for person in range(3):
        table = pd.DataFrame({"time": t, "x": 0.1 * np.sin(t), "y": 0 * t, "z": 1 + person / 100 + 0 * t})
        table.to_csv(tmp_path / "walks" / f"p{person}.csv", index=False)
    asked = ["data=folder", "data.raw_dir=walks", "data.name=walks", "data.source.participant='p[0-9]'"]
    run(tmp_path, "relcon-prepare", "-m", "hydra/launcher=submitit_local", *asked, "part=1/2,2/2")
    assert {path.name for path in (tmp_path / "data" / "walks").iterdir()} >= {"part-001-of-002", "part-002-of-002"}
    store = CohortStore.open(tmp_path / "data" / "walks")
    assert store.participants["participant_id"].tolist() == ["p0", "p1", "p2"]
    store.verify()
