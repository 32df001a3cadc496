"""``+profiler=...`` says where a run spends its time."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.datamodule import CandidateDataModule
from relcon_lightning.methods import SimCLR
from relcon_lightning.nets import small_resnet_1d


def profiled(kind: str, store, folder: Path, steps: int) -> str:
    """The table after a run."""
    overrides = [f"run_dir={folder}", f"+profiler={kind}"]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("pretrain", overrides)
    data = CandidateDataModule(store.path, 0.64, n_candidates=0, batch_size=8, val_batches=1)
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        profiler=instantiate(config.trainer.profiler),
        default_root_dir=folder,
    )
    trainer.fit(SimCLR(small_resnet_1d()), data)
    return (folder / "profile" / f"fit-{kind}.txt").read_text()


@pytest.mark.filterwarnings("ignore")
def test_the_simple_profiler_counts_the_steps(toy_store, tmp_path):
    assert "run_training_batch" in profiled("simple", toy_store, tmp_path, 3)


@pytest.mark.filterwarnings("ignore")
def test_torch_profiles_five_steps_and_leaves_a_trace(toy_store, tmp_path):
    table = profiled("torch", toy_store, tmp_path, 13)
    [row] = [line for line in table.splitlines() if line.strip().startswith("ProfilerStep*")]
    assert row.split()[-1] == "5"
    assert "aten::convolution_backward" in table
    assert len(list((tmp_path / "profile").glob("*.trace.json"))) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_is_too_short_says_so(toy_store, tmp_path):
    assert profiled("torch", toy_store, tmp_path, 3) == "No step was profiled: the run ended before step 12.\n"
