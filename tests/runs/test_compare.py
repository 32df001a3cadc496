"""Which runs are put together, and how they are told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from relcon_lightning import nets
from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_files import write_exported
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.runs.compare import find_checkpoints, group

ENCODER = {"_target_": "relcon_lightning.nets.small_resnet_1d"}


def make(
    folder: Path,
    model: str,
    seed: int,
    temperature: float = 1.0,
    steps: int = 10,
    encoder: bool = True,
    ranking: dict[str, Any] | None = None,
    attention: str | None = None,
) -> str:
    method: dict[str, Any] = {"seed": seed, "temperature": temperature, **({"encoder": ENCODER} if encoder else {})}
    config = {
        "seed": seed,
        "name": f"seed{seed}",
        "run_dir": str(folder),
        "model": {"name": model, "temperature": temperature, "distance_checkpoint": f"d{seed}", "method": method},
        "trainer": {"max_steps": steps, "default_root_dir": str(folder)},
        **({"ranking": ranking} if ranking else {}),
    }
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    entry: dict[str, Any] = {"format": FORMAT, "version": "0", "config": config}
    if attention:
        model = {"name": "distance", "attention": attention, "method": {"distance": {"_target_": "some.Net"}}}
        own = {"seed": seed, "name": f"seed{seed}", "model": model}
        entry["built_from"] = [{"role": "distance", "config": own, "weights": f"{seed}", "participants": []}]
    torch.save({KEY: entry, "state_dict": {}}, path)
    return str(folder)


def paths_of(checkpoints: list[Checkpoint]) -> list[str]:
    return [one.path for one in checkpoints]


def test_runs_that_differ_in_the_seed_alone_are_one_system(tmp_path):
    paths = [make(tmp_path / f"r{s}", "relcon", s) for s in (2, 0, 1)] + [make(tmp_path / "s", "simclr", 0)]
    relcon, simclr = group(find_checkpoints(paths))
    assert (relcon.name, simclr.name) == ("relcon", "simclr")
    assert [Path(run.path).name for run in relcon.checkpoints] == ["r0", "r1", "r2"]
    assert [run.seed for run in relcon.checkpoints] == [0, 1, 2]


def test_variants_of_a_method_are_named_after_what_differs(tmp_path):
    paths = [make(tmp_path / "a", "relcon", 0), make(tmp_path / "b", "relcon", 0, temperature=0.1)]
    assert [one.name for one in group(find_checkpoints(paths))] == ["relcon temperature=1.0", "relcon temperature=0.1"]
    paths = [paths[0], make(tmp_path / "c", "relcon", 0, 0.1, steps=20), make(tmp_path / "d", "simclr", 0)]
    names = [one.name for one in group(find_checkpoints(paths))]
    assert names == ["relcon temperature=1.0 max_steps=10", "relcon temperature=0.1 max_steps=20", "simclr"]


def test_variants_of_another_class_are_named_after_it_and_not_after_its_settings(tmp_path):
    motif = {"_target_": "relcon_lightning.load_distance", "fused": True}
    spectral = {"_target_": "relcon_lightning.nets.SpectralDistance", "level": 3.0}
    paths = [
        make(tmp_path / "a", "relcon", 0, ranking=motif),
        make(tmp_path / "b", "relcon", 0, ranking=spectral, steps=20),
    ]
    names = [one.name for one in group(find_checkpoints(paths))]
    assert names == ["relcon ranking=load_distance max_steps=10", "relcon ranking=SpectralDistance max_steps=20"]


def test_the_settings_of_a_distance_are_not_in_the_name_if_another_run_has_another_kind_of_distance(tmp_path):
    embedding = {"_target_": "relcon_lightning.load_embedding_distance"}
    spectral = {"_target_": "relcon_lightning.nets.SpectralDistance", "level": 3.0}
    paths = [
        make(tmp_path / "a", "relcon", 0, ranking=embedding, attention="softmax"),
        make(tmp_path / "b", "relcon", 0, ranking=spectral),
    ]
    names = [one.name for one in group(find_checkpoints(paths))]
    assert names == ["relcon ranking=load_embedding_distance", "relcon ranking=SpectralDistance"]


def test_names_of_runs_that_differ_in_many_settings_are_short_and_differ(tmp_path):
    paths = []
    for run in range(3):
        paths.append(make(tmp_path / str(run), "relcon", 0))
        content = torch.load(Path(paths[-1]) / "checkpoints" / "last.ckpt")
        content[KEY]["config"]["model"] |= {f"setting_{i:02}": f"value {i}" for i in range(30)} | {"zz": run}
        content[KEY]["config"]["data"] = {} if run else {f"a_{i}": i for i in range(30)}
        torch.save(content, Path(paths[-1]) / "checkpoints" / "last.ckpt")
    names = [one.name for one in group(find_checkpoints(paths))]
    assert len(set(names)) == 3
    assert all(name.startswith("relcon a_0=") and "more setting" in name and len(name) < 120 for name in names)


def test_one_seed_twice_is_refused(tmp_path):
    paths = [make(tmp_path / "a", "relcon", 0), make(tmp_path / "b", "relcon", 0)]
    with pytest.raises(ConfigError, match=r"a, .*b are runs with the same configuration and seed"):
        group(find_checkpoints(paths))


def test_a_pattern_finds_runs_and_passes_over_those_without_an_encoder(tmp_path, caplog):
    make(tmp_path / "relcon" / "seed0", "relcon", 0)
    make(tmp_path / "distance" / "seed0", "distance", 0, encoder=False)
    (tmp_path / "empty" / "seed0").mkdir(parents=True)
    (tmp_path / "empty" / "seed.yaml").write_text("hydra:\n")  # as a sweep leaves one
    with caplog.at_level("INFO"):
        found = find_checkpoints(f"{tmp_path}/*/seed*")
    assert paths_of(found) == [str(tmp_path / "relcon" / "seed0")]
    assert "Skipped 1 run without an encoder" in caplog.text
    distance = str(tmp_path / "distance" / "seed0")  # one that is named is kept
    assert paths_of(find_checkpoints([f"{tmp_path}/rel*/seed0", distance])) == [found[0].path, distance]
    assert paths_of(find_checkpoints(f"{tmp_path}/**/last.ckpt")) == [f"{found[0].path}/checkpoints/last.ckpt"]


def test_a_pattern_that_fits_nothing_says_where_it_looked(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere/\* matches no run with an encoder \(current folder"):
        find_checkpoints("nowhere/*")
    make(tmp_path / "distance", "distance", 0, encoder=False)
    with pytest.raises(ConfigError, match="matches no run with an encoder"):
        find_checkpoints(f"{tmp_path}/*")


def test_runs_that_differ_in_their_distance_alone_are_two_systems(tmp_path):
    paths = [
        make(tmp_path / f"{attention}{seed}", "relcon", seed, attention=attention)
        for attention in ("sparsemax", "softmax")
        for seed in (0, 1)
    ]
    full, ablated = group(find_checkpoints(paths))
    assert (full.name, ablated.name) == ("relcon attention=sparsemax", "relcon attention=softmax")
    assert [len(one.checkpoints) for one in (full, ablated)] == [2, 2]


def exported(folder: Path, model: str, temperature: float) -> str:
    folder.mkdir(parents=True)
    method = {"encoder": ENCODER}
    config = {"seed": 0, "model": {"name": model, "temperature": temperature, "method": method}}
    net = nets.small_resnet_1d()
    weights = {f"encoder.{name}": value for name, value in net.state_dict().items()}
    write_exported(folder, {"format": FORMAT, "version": "0", "config": config}, save(weights))
    return str(folder)


def test_an_exported_encoder_is_named_by_its_folder_beside_runs_of_its_method(tmp_path):
    """It has few settings, so its differences from a run are not a name."""
    runs = [make(tmp_path / f"r{seed}", "relcon", seed) for seed in (0, 1)]
    mine = exported(tmp_path / "mine", "relcon", 0.5)
    assert [one.name for one in group(find_checkpoints([*runs, mine]))] == ["relcon", f"relcon in {mine}"]
    other = exported(tmp_path / "other", "relcon", 0.1)
    assert [one.name for one in group(find_checkpoints([mine, other]))] == [
        "relcon temperature=0.5",
        "relcon temperature=0.1",
    ]
    simclr = make(tmp_path / "s", "simclr", 0)
    assert [one.name for one in group(find_checkpoints([simclr, mine]))] == ["simclr", "relcon"]
