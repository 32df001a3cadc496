"""The commands as a user types them, on a small cohort in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.integration.commands import FEW_STEPS, TINY, fork, run, wandb_records

README_PYTHON = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.S)


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


def test_the_paths_of_the_checkpoints_and_the_logs_are_the_last_lines(folder):
    output = run(folder, "relcon-pretrain", "model=distance", "name=again", *FEW_STEPS)
    lines = [line for line in output.splitlines() if line.strip()]
    assert "runs/watch/distance/again/checkpoints/last.ckpt, step 2" in lines[-3]
    chosen = torch.load(folder / "runs/watch/distance/again/checkpoints/best.ckpt", weights_only=True)
    told = (
        rf"runs/watch/distance/again/checkpoints/best\.ckpt, step {chosen['global_step']}: val/average_precision 0\.\d+"
    )
    assert re.search(told, lines[-2])
    assert "runs/watch/distance/again/csv/metrics.csv" in lines[-1]


def test_threads_that_wait_for_work_sleep_and_torch_comes_later():
    """OpenMP reads the policy when torch is imported."""
    code = "import os, sys, relcon_lightning.cli.commands; print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    for given, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
        found = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
        assert found.split() == ["False", expected]


def test_overwriting_a_run_replaces_its_checkpoint(folder):
    arguments = ["model=distance", "name=twice", *TINY]
    checkpoints = folder / "runs" / "watch" / "distance" / "twice" / "checkpoints"
    weights = []
    for seed in (0, 1):
        output = fork(folder, "relcon-pretrain", *arguments, f"seed={seed}", "overwrite=true")
        assert output.startswith("INFO distance on watch: 58,617 parameters to train.")  # no library says a word
        assert "v_num" not in output
        assert {p.name for p in checkpoints.iterdir()} == {"2.ckpt", "last.ckpt", "best.ckpt"}
        content = torch.load(checkpoints / "last.ckpt", weights_only=True)
        assert content["relcon_lightning"]["config"]["seed"] == seed
        weights.append(content["state_dict"]["distance.output.weight"])
    assert not torch.equal(*weights)


@pytest.mark.parametrize("method", ["distance", "relcon"])
def test_training_in_bfloat16(folder, method):
    fork(
        folder,
        "relcon-pretrain",
        f"model={method}",
        "model.distance_checkpoint=runs/watch/distance/seed0",
        "trainer.precision=bf16-mixed",
        "name=bf16",
        *TINY,
        "data.batch_size=4",
        "data.val_batches=1",
    )


def test_a_sweep_gives_each_job_a_folder_and_goes_on_when_one_fails(folder):
    output = fork(
        folder,
        "relcon-pretrain",
        "-m",
        "model=simclr",
        "logger=csv",
        "model.learning_rate=1e-3,1e30,1e-4",
        "trainer.accelerator=cpu,gpu",
        *TINY,
        "trainer.max_steps=3",
        code=2,
    )
    sweeps = folder / "runs" / "watch" / "sweeps" / "simclr"
    found = sorted(p.parent.parent.name for p in sweeps.rglob("last.ckpt"))
    assert len(found) >= 2
    assert len({json.loads((sweeps / name / "run.json").read_text())["config"]["run_dir"] for name in found}) == len(
        found
    )
    said = " ".join(output.split())
    assert "4 of 6 jobs failed" in said
    assert "highest val/knn_f1 on validation people: relcon-eval checkpoint=runs/watch/sweeps/simclr/" in said
    assert "Traceback" not in output


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
        (["model=distance", *TINY], "contains a run"),
        (["name=x", "model=distance", "data.participants_per_batch=3"], "is not a multiple of"),
    ],
)
def test_mistakes_are_named_before_work_starts(folder, arguments, message):
    code = 1 if "Could not find" in message else 2
    output = fork(folder, "relcon-pretrain", *arguments, code=code)
    assert message in " ".join(output.split())
    debugged = code == 1 and sys.gettrace() is not None  # Hydra takes a tracer of coverage for one, and raises
    assert "Traceback" not in output or debugged


def test_a_reader_that_closes_the_output_ends_the_command_without_a_traceback(folder):
    piped = "relcon-table --help | true; echo ${PIPESTATUS[0]}"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        ["bash", "-c", piped], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert ended.stdout.strip() in ("0", "141")  # 0 if all was written before the reader ended


def test_the_readme_trains_in_python(tmp_path):
    [code] = [block for block in README_PYTHON if "L.Trainer" in block]
    assert len([line for line in code.splitlines() if line]) <= 15
    check = (
        "import torch; assert relcon.global_step == 2 and relcon.encoder(torch.zeros(1, 3, 256)).shape == (1, 256)\n"
        "assert not any(p.requires_grad for p in distance.parameters())"
    )
    short = re.sub(r"max_steps=\d+", "max_steps=2", code).replace("batch_size=32", "batch_size=8")
    program = [sys.executable, "-c", f"{short}\n{check}"]
    done = subprocess.run(program, cwd=tmp_path, text=True, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]  # no logs beside the cohort


def test_the_readme_embeds_in_python(tmp_path):
    code = "\n".join(block for block in README_PYTHON if "L.Trainer" not in block)
    assert "embed_recording" in code
    check = "assert embedding.shape == (1, 640) and embeddings.shape == (23, 640) and starts[1] == 2.56"
    program = [sys.executable, "-c", f"{code}\n{check}"]
    done = subprocess.run(program, cwd=tmp_path, text=True, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")  # and no library warns


def test_help_shows_examples_and_choices():
    for command in ("relcon-prepare", "relcon-pretrain", "relcon-eval"):
        output = fork(Path.cwd(), command, "--help")
        assert command in output
        assert re.search(r"\n  data +capture24, .*watch", output, re.S)


def test_an_error_of_a_library_ends_its_job_alone_and_an_unknown_objective_is_named(folder):
    swept = ["model=simclr", "logger=csv", "trainer.precision=nonsense,32-true", "objective=val/typo", *TINY]
    output = fork(folder, "relcon-pretrain", "-m", *swept, "hydra.sweep.dir=runs/watch/odd", code=2)
    said = " ".join(output.split())
    assert "1 of 2 jobs failed" in said
    assert "objective=val/typo was not logged; these were: val/" in said
    assert "done, but val/typo was not logged" in said


def test_a_setting_that_the_method_does_not_read_is_refused_before_any_work(tmp_path):
    said = fork(tmp_path, "relcon-pretrain", "model=simclr", "augmentation.n=1", code=2)
    assert "augmentation.n has no effect with model=simclr: leave it out or add pair=random" in said
    assert not (tmp_path / "runs" / "watch" / "simclr" / "seed0" / "split.json").exists()


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["logger=null"], {"checkpoints", "run.json", "split.json", ".hydra"}),
        (["logger.wandb=null", "callbacks.pictures=null"], {"checkpoints", "csv", "run.json", "split.json", ".hydra"}),
        (["callbacks=null", "logger=csv"], {"checkpoints", "csv", "run.json", "split.json", ".hydra"}),
    ],
)
def test_a_run_does_without_loggers_and_callbacks_and_keeps_its_last_step(folder, words, left):
    arguments = [word for word in TINY if not (words[0] == "callbacks=null" and word.startswith("callbacks."))]
    name = f"without_{words[0].split('=')[0]}"
    fork(folder, "relcon-pretrain", "model=simclr", *arguments, *words, f"name={name}")
    made = folder / "runs" / "watch" / "simclr" / name
    assert {path.name for path in made.iterdir() if path.suffix != ".png"} == left
    assert torch.load(made / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("method", ["byol", "simsiam", "simclr"])
def test_a_batch_of_one_window_is_refused_by_methods_that_compare_windows(folder, method):
    arguments = [word for word in TINY if not word.startswith("data.batch_size")]
    one = ["data.batch_size=1", "data.participants_per_batch=1", "logger=csv", "name=one"]
    said = fork(folder, "relcon-pretrain", f"model={method}", *arguments, *one, code=2)
    assert "data.batch_size=1: " in said
    assert "Set data.batch_size to 2 or more" in said
    assert "Traceback" not in said


def test_weights_of_another_architecture_are_refused_with_the_first_difference(folder):
    fork(folder, "relcon-pretrain", "model=simclr", *TINY, "name=shape", "logger=csv")
    path = folder / "runs" / "watch" / "simclr" / "shape" / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    name = next(name for name in content["state_dict"] if name.startswith("head"))
    content["state_dict"][name] = torch.zeros(3, 3)  # as of another version of the code
    torch.save(content, path)
    arguments = ["model=simclr", *TINY, "name=shape", "logger=csv", "resume=auto", "trainer.max_steps=4"]
    said = fork(folder, "relcon-pretrain", *arguments, code=2)
    assert f"does not fit the model (size mismatch for {name}" in " ".join(said.split())
    assert "Traceback" not in said


def test_optuna_chooses_the_values_of_three_jobs_and_goes_on(folder):
    pytest.importorskip("optuna", reason="the extra optuna is not installed")
    words = ["-m", "+search=optuna", "model=simclr", "logger=csv", "temperature=tag(log,interval(0.05,1))", *TINY]
    said = fork(folder, "relcon-pretrain", *words, "hydra.sweeper.trials=2")
    assert len(re.findall(r"runs/watch/searches/simclr/\S+: val/knn_f1 \d", said)) == 2
    assert "relcon-eval checkpoint=runs/watch/searches/simclr/" in said
    said = fork(folder, "relcon-pretrain", *words, "hydra.sweeper.trials=3", "resume=auto")
    found, value = re.search(
        r"Best of 3 jobs of the search: val/knn_f1 (\d\.\d+) with temperature=(\S+)", said
    ).groups()
    assert 0 <= float(found) <= 1
    assert 0.05 <= float(value) <= 1
    made = sorted((folder / "runs" / "watch" / "searches" / "simclr").glob("*/checkpoints/best.ckpt"))
    assert len(made) == 3
    said = fork(folder, "relcon-pretrain", *words, "objective=val/mine", code=2)
    assert "set objective_direction=minimize or maximize" in said
    assert "Traceback" not in said


def test_the_best_checkpoint_is_exported_embedded_and_evaluated_beside_the_last(folder):
    run_folder = "runs/watch/relcon/seed0"
    best = f"{run_folder}/checkpoints/best.ckpt"
    step = torch.load(folder / best, weights_only=True)["global_step"]
    fork(folder, "relcon-export", f"checkpoint={best}", "to=exported_best")
    assert f"| steps | {step}, the best by val/knn_f1 (" in (folder / "exported_best" / "README.md").read_text()
    said = fork(folder, "relcon-eval", f"checkpoint=[{run_folder},{best}]", "seeds=[0]", "name=both", "logger=csv")
    assert "relcon checkpoint=best" in said
    assert "relcon checkpoint=last" in said
    report = (folder / "reports" / "watch" / "both" / "report.md").read_text()
    assert f"{step} steps on watch, seed 0, chosen by val/knn" in report
    for source, output in ((best, "of_best.parquet"), ("exported_best", "of_export.parquet")):
        fork(folder, "relcon-embed", f"checkpoint={source}", "input=data/watch", f"output={output}")
    made = [pd.read_parquet(folder / output) for output in ("of_best.parquet", "of_export.parquet")]
    pd.testing.assert_frame_equal(*made)
