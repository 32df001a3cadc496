"""What an evaluation reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.evaluate import _name_other_data, _training
from relcon_lightning.cli.systems import check_rates, classifiers
from relcon_lightning.data.resample import resample_windows
from relcon_lightning.downstream import systems
from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import ResNet1d
from relcon_lightning.runs import archive, checkpoint_files
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.runs.compare import find_checkpoints, group

ENCODER = {"_target_": "relcon_lightning.nets.ResNet1d", "widths": [4], "depths": [1], "kernel_sizes": [3]}


def write(path: Path, seed: int, rate: float = 50) -> str:
    """The checkpoint of a run with a seed."""
    config = {
        "seed": seed,
        "model": {"name": "simclr", "method": {"encoder": ENCODER}},
        "trainer": {"max_steps": 1},
        "data": {"name": "toy", "sampling_rate": rate, "window_s": 1.28},
    }
    weights = {f"encoder.{k}": v for k, v in ResNet1d((4,), (1,), (3,)).state_dict().items()}
    entry = {"format": FORMAT, "version": "0", "config": config, "participants": {"salt": "s", "hashes": []}}
    torch.save({"state_dict": weights, KEY: entry, "global_step": 1}, path)
    return str(path)


@pytest.mark.parametrize("probe", ["linear", "finetune"])
def test_each_checkpoint_is_read_once(tmp_path, monkeypatch, probe):
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "cache"))
    read: list[str] = []
    load = archive.load_archive

    def counted(path: Path) -> object:
        read.append(str(path))
        return load(path)

    monkeypatch.setattr(checkpoint_files, "load_archive", counted)
    paths = [write(tmp_path / f"{seed}.ckpt", seed) for seed in (0, 1)]
    [simclr] = group(find_checkpoints([*paths, f"{tmp_path}/*.ckpt"]))
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("eval", ["run_dir=here", "checkpoint=x", f"probe={probe}", "data.sampling_rate=50"])
    check_rates(config, [simclr])
    assert _training(simclr.checkpoints[0]) == "1 step on toy, seed 0"
    assert [run.participants for run in simclr.checkpoints] == [[{"salt": "s", "hashes": []}]] * 2
    windows = np.random.default_rng(0).standard_normal((4, 3, 64)).astype(np.float32)
    for system in classifiers(config, [simclr])[:-1]:
        for seed in range(4):
            system.features(seed, windows)
    assert read == paths


def test_an_encoder_of_another_rate_gets_resampled_windows(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "cache"))
    runs = group(find_checkpoints([write(tmp_path / "50.ckpt", 0)]))
    t = np.arange(256) / 100
    fast = np.stack([[np.sin(2 * np.pi * f * t + k) for k in range(3)] for f in (1, 2, 3)]).astype(np.float32)

    def embeddings(rate: int, windows: np.ndarray) -> np.ndarray:
        with initialize_config_dir(config_folder(), version_base="1.3"):
            config = compose("eval", ["run_dir=here", "checkpoint=x", f"data.sampling_rate={rate}"])
        check_rates(config, runs)
        return classifiers(config, runs)[0].features(0, windows)

    with caplog.at_level("INFO", "relcon_lightning"):
        slow = embeddings(50, fast[:, :, ::2].copy())  # what a sensor at 50 Hz records of slow movement
        assert "resampled" not in caplog.text
        found = embeddings(100, fast)
    assert "simclr was trained at 50 Hz: windows are resampled from 100 Hz for it." in caplog.text
    plain = runs[0].checkpoints[0].encoder()(torch.from_numpy(fast)).detach().numpy()
    assert np.abs(found - slow).max() < 0.2 * np.abs(plain - slow).max()


def test_windows_are_resampled_once_per_rate(tmp_path, monkeypatch):
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "cache"))
    rates: list[float] = []

    def counted(windows: np.ndarray, source_rate: float, target_rate: float) -> np.ndarray:
        rates.append(target_rate)
        return resample_windows(windows, source_rate, target_rate)

    monkeypatch.setattr(systems, "resample_windows", counted)
    paths = [write(tmp_path / f"{rate}-{seed}.ckpt", seed, rate) for rate in (25, 50, 100) for seed in range(3)]
    runs = group(find_checkpoints(paths))
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("eval", ["run_dir=here", "checkpoint=x", "data.sampling_rate=100"])
    windows = np.random.default_rng(0).standard_normal((2, 4, 3, 256)).astype(np.float32)
    compared = classifiers(config, runs)[:3]
    for some in windows:  # as when windows are standardised per fold
        own = [{seed: system.features(seed, some) for seed in range(3)} for system in compared]
    assert sorted(rates) == [25, 25, 50, 50]
    for one, features in zip(runs, own, strict=True):
        for seed, checkpoint in enumerate(one.checkpoints):
            at_rate = resample_windows(windows[1], 100, checkpoint.sampling_rate)
            expected = checkpoint.encoder()(torch.from_numpy(at_rate)).detach().numpy()
            np.testing.assert_allclose(features[seed], expected, rtol=1e-4, atol=1e-5)


def test_an_encoder_of_another_rate_is_not_fine_tuned(tmp_path):
    runs = group(find_checkpoints([write(tmp_path / "50.ckpt", 0)]))
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("eval", ["run_dir=here", "checkpoint=x", "data.sampling_rate=100", "probe=finetune"])
    with pytest.raises(ConfigError, match="trained at 50 Hz, but the windows have 100 Hz"):
        check_rates(config, runs)


@pytest.mark.parametrize(
    ("task", "found", "told"),
    [
        ("wisdm", "watch", "'Daily activity classification' describes wisdm, but the store holds watch"),
        ("workout_simulated", "watch", "describes simulated, but the store holds watch"),
        ("mobilised", "simulated", "describes mobilised, but the store holds simulated"),
        ("pamap2_ankle", "pamap2", None),
        ("watch", "watch", None),
        ("folder", "watch", None),
        ("device", "walks", None),
    ],
)
def test_a_task_of_another_data_set_is_named(task, found, told, caplog):
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("eval", ["run_dir=here", "checkpoint=x", f"task={task}"])
    _name_other_data(config, found)
    assert [told in message for message in caplog.messages] == ([] if told is None else [True])
