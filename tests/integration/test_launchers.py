"""Sweeps whose jobs other programs start: torchrun, SLURM (as far as it sets variables), and submitit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch

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
