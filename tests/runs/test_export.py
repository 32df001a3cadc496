from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open

from relcon_lightning import embed_recording, load_encoder
from relcon_lightning.data.pseudonyms import hash_participants
from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import small_resnet_1d
from relcon_lightning.runs import checkpoint_format
from relcon_lightning.runs.checkpoint import Checkpoint, load_distance
from relcon_lightning.runs.checkpoint_files import checksums
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.runs.export import export

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    """A checkpoint as a run leaves it."""
    torch.manual_seed(0)
    encoder = small_resnet_1d()
    config = {
        "seed": 3,
        "paths": {"runs": "/home/anna/runs"},
        "data": {"name": "toy", "sampling_rate": 50, "window_s": 2.56, "root": "/home/anna/data"},
        "model": {
            "name": "relcon",
            "temperature": 0.1,
            "distance_checkpoint": "/home/anna/runs/distance",
            "method": {"encoder": {"_target_": "relcon_lightning.nets.small_resnet_1d"}, "seed": 3},
        },
        "trainer": {"max_steps": 80, "default_root_dir": "/home/anna/runs"},
    }
    entry = {
        "format": FORMAT,
        "version": "0.1.0",
        "config": config,
        "participants": {"salt": "s", "hashes": hash_participants(["p1", "p2"], "s")},
        "data": {"name": "toy", "position": "wrist", "license": "CC BY 4.0", "citation": "A and B (2020)"},
        "built_from": [
            {
                "role": "distance",
                "config": {**config, "data": {"name": "other", "root": "/home/anna/data"}},
                "weights": "abc",
                "participants": [{"salt": "t", "hashes": hash_participants(["p8"], "t")}],
            }
        ],
    }
    weights = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    path = tmp_path / "run.ckpt"
    torch.save({"state_dict": weights, KEY: entry, "global_step": 77}, path)
    return path


def test_an_exported_encoder_is_the_same(run, tmp_path):
    folder = export(run, tmp_path / "out")
    x = torch.randn(4, 3, 128)
    assert torch.equal(load_encoder(folder)(x), load_encoder(run)(x))
    signal = np.random.default_rng(0).standard_normal((1000, 3)) * 0.1 + [0, 0, 1]
    for found, expected in zip(embed_recording(folder, signal, 50.0), embed_recording(run, signal, 50.0), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_folder_has_weights_alone_and_no_path_of_the_machine(run, tmp_path):
    folder = export(run, tmp_path / "out")
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert set(file.keys()) == {f"encoder.{name}" for name in small_resnet_1d().state_dict()}
    for name in ("README.md", "config.json"):
        assert "anna" not in (folder / name).read_text()
    assert not list(tmp_path.glob(".out*"))


def test_who_was_trained_on_is_still_known(run, tmp_path):
    exported = Checkpoint.read(export(run, tmp_path / "out"))
    assert exported.participants == Checkpoint.read(run).participants
    assert [people["salt"] for people in exported.participants] == ["s", "t"]  # of the distance too
    assert exported.step == 77


def test_the_card_says_what_a_user_has_to_know(run, tmp_path):
    report = tmp_path / "report.md"
    report.write_text(
        "# Walking\n\n- Checkpoints: relcon: /home/anna/run\n- Participants: anna, bo\n- Folds: 3\n\n"
        "## Window level\n\n| relcon | 0.9 |\n\n![Macro F1](f1.png)\n\n![Areas](roc.png)\n"
    )
    card = (export(run, tmp_path / "out", results=report, license="apache-2.0") / "README.md").read_text()
    facts = ["license: apache-2.0", "CC BY 4.0", "A and B (2020)", "wrist", "| steps | 77"]
    facts += ["| participants | 2, as", "| participants of its distance | 1, who are refused as well |\n| written by"]
    for fact in facts:
        assert fact in card
    assert card.count("\n## Results\n\n### Walking\n\n- Folds: 3\n\n#### Window level\n\n| relcon | 0.9 |\n\n") == 1
    assert "anna" not in card  # a card is public: no names, and no picture that is elsewhere
    assert "![" not in card
    assert "No results" in (export(run, tmp_path / "bare") / "README.md").read_text()


def test_nothing_but_the_exporter_writes_the_head_of_the_card(run, tmp_path):
    content = torch.load(run, weights_only=True)
    config = content[KEY]["config"]
    config["model"]["name"] = "relcon]\nlicense: mit\nx: ["
    config["data"]["name"] = "toy\n---\nlicense: mit\n---\n<script>alert(1)</script>"
    content[KEY]["data"]["citation"] = "A | B\n\n# Heading <img src=x>"
    torch.save(content, run)
    card = (export(run, tmp_path / "out", license="cc0-1.0") / "README.md").read_text()
    _, head, _ = card.split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc0-1.0"
    assert yaml.safe_load(head)["tags"][-1] == "relcon] license: mit x: ["
    assert set(yaml.safe_load(head)) == {"library_name", "tags", "license"}
    assert "<script" not in card
    assert "<img" not in card
    assert "\n# Heading" not in card
    assert "license" not in yaml.safe_load(
        (export(run, tmp_path / "bare") / "README.md").read_text().split("---\n", 2)[1]
    )


def test_no_name_of_a_participant_gets_into_the_card(run, tmp_path):
    report = tmp_path / "report.md"
    head = "# Walking\n\n- Participants: carl, anna\nsmith, - dora\n\nbo: none of them\n- Data: toy: A and B\n"
    report.write_text(f"{head}\n## Window level\n\n| relcon | 0.9 |\n| <img src=x> | 0.1 |\n")
    card = (export(run, tmp_path / "out", results=report) / "README.md").read_text()
    assert "| &lt;img src=x> | 0.1 |" in card
    for name in ("carl", "anna", "smith", "dora", "bo:"):
        assert name not in card
    assert "- Data: toy: A and B" in card
    assert "| relcon | 0.9 |" in card


@pytest.mark.filterwarnings("ignore")
def test_other_programs_get_the_same_numbers_for_any_number_and_length_of_windows(run, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    folder = export(run, tmp_path / "out", onnx=True, torch_export=True)
    encoder = load_encoder(folder)
    session = onnxruntime.InferenceSession(folder / "encoder.onnx")
    program = torch.export.load(folder / "encoder.pt2").module()
    for shape in ((1, 3, 128), (9, 3, 77), (2, 3, 1000)):
        x = torch.randn(shape)
        expected = encoder(x).detach()
        torch.testing.assert_close(program(x), expected, rtol=1e-4, atol=1e-5)
        found = torch.from_numpy(session.run(None, {"windows": x.numpy()})[0])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_exported_is_named_and_nothing_is_left(run, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match="overwrite=true"):
        export(run, tmp_path / "there")
    with pytest.raises(ConfigError, match="no report at"):
        export(run, tmp_path / "out", results=tmp_path / "none.md")
    with pytest.raises(ConfigError, match="no checkpoint"):
        export(tmp_path / "none.ckpt", tmp_path / "out")
    content = torch.load(run, weights_only=True)
    del content[KEY]["config"]["trainer"]
    torch.save(content, run)
    with pytest.raises(KeyError):
        export(run, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.ckpt", "there"]


def test_overwriting_replaces_the_folder(run, tmp_path):
    folder = export(run, tmp_path / "out")
    (folder / "old").touch()
    export(run, folder, overwrite=True)
    assert not (folder / "old").exists()


def test_overwriting_replaces_nothing_but_an_export(run, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for folder in (mine, mine / "thesis.txt"):
        with pytest.raises(ConfigError, match="is not an exported encoder, so overwrite=true does not replace it"):
            export(run, folder, overwrite=True)
    exported = export(run, tmp_path / "out")
    monkeypatch.chdir(exported)
    for folder in (".", exported, tmp_path):
        with pytest.raises(ConfigError, match="is the folder of the command, or contains it"):
            export(run, folder, overwrite=True)
    monkeypatch.chdir(mine)
    export(run, exported, overwrite=True)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_weights_that_are_not_finite_are_not_exported(run, tmp_path):
    content = torch.load(run, weights_only=True)
    name = next(name for name in content["state_dict"] if name.startswith("encoder."))
    content["state_dict"][name].view(-1)[0] = torch.nan
    torch.save(content, run)
    with pytest.raises(ConfigError, match=r"are damaged: \S+ is not finite"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 50, None])
def test_a_damaged_folder_is_named(run, tmp_path, part, content):
    folder = export(run, tmp_path / "out")
    if content is None and part == "config.json":
        (folder / part).write_text(json.dumps([KEY]))
    elif content is None:
        (folder / part).write_bytes((folder / part).read_bytes()[:-100])
    else:
        (folder / part).write_bytes(content)
    with pytest.raises(ConfigError, match="out"):
        load_encoder(folder)


def test_a_configuration_that_names_another_class_is_refused(run, tmp_path):
    folder = export(run, tmp_path / "out")
    content = json.loads((folder / "config.json").read_text())
    content[KEY]["config"]["model"]["method"]["encoder"] = {"_target_": "os.system", "command": "true"}
    content["checksums"] = checksums(content[KEY], (folder / "model.safetensors").read_bytes())
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"os\.system"):
        load_encoder(folder)


def test_a_flipped_bit_of_an_export_is_refused_or_changes_nothing(run, tmp_path):
    folder, rng = export(run, tmp_path / "out"), random.Random(0)
    x = torch.randn(2, 3, 128)
    expected, entry = load_encoder(folder)(x), Checkpoint.read(folder).entry
    for name, times in (("config.json", 300), ("model.safetensors", 100)):
        sound = (folder / name).read_bytes()
        for _ in range(times):
            damaged = bytearray(sound)
            damaged[rng.randrange(len(sound))] ^= 1 << rng.randrange(8)
            (folder / name).write_bytes(damaged)
            try:
                found = load_encoder(folder)
            except ConfigError:
                continue
            assert name == "config.json"
            assert Checkpoint.read(folder).entry == entry
            assert torch.equal(found(x), expected)
        (folder / name).write_bytes(sound)


@pytest.mark.parametrize("change", [{"widths": [10**5] * 2}, {"depths": [10**9, 1]}])
def test_a_small_configuration_of_a_huge_net_is_refused_before_it_is_built(run, tmp_path, change):
    folder = export(run, tmp_path / "out")
    content = json.loads((folder / "config.json").read_text())
    encoder = {"_target_": "relcon_lightning.nets.ResNet1d", "widths": [4, 4], "depths": [1, 1], "kernel_sizes": [3, 3]}
    content[KEY]["config"]["model"]["method"]["encoder"] = encoder | change
    content["checksums"] = checksums(content[KEY], (folder / "model.safetensors").read_bytes())
    (folder / "config.json").write_text(json.dumps(content))
    for load in (load_encoder, lambda path: Checkpoint.read(path).fresh_encoder(0)):
        with pytest.raises(ConfigError, match=r"do not fit its configuration.*much larger net"):
            load(folder)


def test_an_export_of_an_older_version_is_read_with_a_line_about_its_checksums(caplog):
    with caplog.at_level(logging.INFO):
        load_encoder(Path(__file__).parent / "formats" / "1" / "exported")
    assert "without checksums" in caplog.text


def test_overwriting_through_a_link_replaces_what_it_names(run, tmp_path):
    folder = export(run, tmp_path / "elsewhere" / "out")
    (folder / "old").touch()
    (tmp_path / "link").symlink_to(folder)
    export(run, tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert not (folder / "old").exists()
    assert load_encoder(tmp_path / "link").dim


def test_an_exported_encoder_has_no_distance(run, tmp_path):
    with pytest.raises(ConfigError, match="no motif distance"):
        load_distance(export(run, tmp_path / "out"))


def test_older_formats_are_upgraded_step_by_step(run, monkeypatch):
    content = torch.load(run, weights_only=True)
    content[KEY]["format"] = -1
    torch.save(content, run)
    with pytest.raises(ConfigError, match="upgrade"):
        Checkpoint.read(run)

    def next_one(checkpoint):
        return {**checkpoint, KEY: {**checkpoint[KEY], "format": checkpoint[KEY]["format"] + 1}}

    monkeypatch.setattr(checkpoint_format, "_UPGRADES", dict.fromkeys(range(-1, FORMAT), next_one))
    assert Checkpoint.read(run).format == FORMAT


def test_an_encoder_on_the_hub_is_fetched_by_its_address(run, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    folder, asked = export(run, tmp_path / "out"), []

    def fetch(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    x = torch.randn(2, 3, 128)
    assert torch.equal(load_encoder("hf://owner/name")(x), load_encoder(run)(x))
    assert asked == [("owner/name", ["model.safetensors", "config.json"])]

    def refuse(name, allow_patterns):
        raise OSError("no such repository")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(ConfigError, match="hf://owner/name cannot be fetched"):
        load_encoder("hf://owner/name")


def test_torch_hub_finds_it(run):
    encoder = torch.hub.load(str(REPOSITORY), "encoder", str(run), source="local", trust_repo=True)
    x = torch.randn(2, 3, 128)
    assert torch.equal(encoder(x), load_encoder(run)(x))
