from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import MotifDistance, ResNet1d
from relcon_lightning.runs.checkpoint import Checkpoint, load_distance, load_encoder
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.runs.networks import build

DISTANCE = {"_target_": "relcon_lightning.nets.MotifDistance", "channels": 16, "kernel_size": 7}
ENCODER = {
    "_target_": "relcon_lightning.nets.ResNet1d",
    "widths": [8, 16],
    "depths": [1, 1],
    "kernel_sizes": [3, 3],
}


def write(path: Path, method: dict, weights: dict, **entry: object) -> Path:
    config = {"model": {"name": "toy", "method": method}}
    content = {"format": FORMAT, "version": "0", "config": config, "participants": {"salt": "s", "hashes": []}}
    torch.save({"state_dict": weights, KEY: {**content, **entry}}, path)
    return path


@pytest.fixture
def nets():
    torch.manual_seed(0)
    return MotifDistance(16, 7), ResNet1d((8, 16), (1, 1), (3, 3))


@pytest.fixture
def checkpoint(tmp_path, nets):
    weights = {f"distance.{k}": v for k, v in nets[0].state_dict().items()}
    weights |= {f"encoder.{k}": v for k, v in nets[1].state_dict().items()}
    return write(tmp_path / "both.ckpt", {"distance": DISTANCE, "encoder": ENCODER}, weights)


def test_parts_come_back_with_their_weights_in_evaluation_mode(checkpoint, nets):
    x = torch.randn(2, 3, 64)
    distance, encoder = load_distance(checkpoint), load_encoder(checkpoint)
    assert not distance.training
    assert not encoder.training
    torch.testing.assert_close(distance.distance(x, x.flip(0)), nets[0].eval().distance(x, x.flip(0)))
    torch.testing.assert_close(encoder(x), nets[1].eval()(x))


OLD = {**ENCODER, "stem": "padded"}


@pytest.mark.parametrize("made", [1, 2])
def test_nets_of_older_formats_keep_the_layers_that_they_were_trained_with(tmp_path, nets, made):
    """Distance, encoder, and the distance that RelCon carries: bit by bit as with padded stems, and not as without."""
    torch.manual_seed(0)
    old = MotifDistance(16, 7, stem="padded").eval(), ResNet1d((8, 16), (1, 1), (3, 3), stem="padded").eval()
    weights = {f"distance.{k}": v for k, v in old[0].state_dict().items()}
    weights |= {f"encoder.{k}": v for k, v in old[1].state_dict().items()}
    both = write(tmp_path / "both.ckpt", {"distance": DISTANCE, "encoder": ENCODER}, weights, format=made)
    carried = {"role": "distance", "config": {"model": {"method": {"distance": DISTANCE}}}, "participants": []}
    named = {"distance": {"_target_": "relcon_lightning.load_distance"}, "encoder": ENCODER}
    relcon = write(tmp_path / "relcon.ckpt", named, weights, format=made, built_from=[carried])
    x = torch.randn(2, 3, 64)
    for path in (both, relcon):
        assert torch.equal(load_distance(path).in_batch(x), old[0].in_batch(x))
        assert torch.equal(load_encoder(path)(x), old[1](x))
        assert not torch.allclose(load_encoder(path)(x), nets[1].eval()(x), rtol=1e-3)
        read = Checkpoint.read(path)
        assert read.format == FORMAT
        assert read.encoder_config == OLD
    assert Checkpoint.read(both).fresh_encoder(0).stem[0].padded
    assert "stem" not in ENCODER  # what was read was not written over


def test_a_net_of_this_format_says_itself_which_stem_it_has(tmp_path, nets):
    for config, padded in ((ENCODER, False), (OLD, True)):
        weights = {f"encoder.{k}": v for k, v in nets[1].state_dict().items()}
        path = write(tmp_path / "e.ckpt", {"encoder": config}, weights)
        assert load_encoder(path).stem[0].padded is padded


def test_the_folder_of_a_run_stands_for_its_last_checkpoint(checkpoint):
    folder = checkpoint.parent / "run" / "checkpoints"
    folder.mkdir(parents=True)
    checkpoint.rename(folder / "last.ckpt")
    assert Checkpoint.read(folder.parent).format == FORMAT


def test_a_fresh_encoder_has_the_shape_but_not_the_weights_and_is_seeded(checkpoint, nets):
    state = torch.random.get_rng_state()
    a, b, c = (Checkpoint.read(checkpoint).fresh_encoder(seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert a.keys() == nets[1].state_dict().keys()
    name = "blocks.0.conv1.weight"
    assert torch.equal(a[name], b[name])
    assert not torch.equal(a[name], c[name])


def test_what_is_missing_is_named(tmp_path, nets):
    only_encoder = write(tmp_path / "e.ckpt", {"encoder": ENCODER}, {})
    only_distance = write(tmp_path / "d.ckpt", {"distance": DISTANCE}, {})
    with pytest.raises(ConfigError, match=r"no motif distance; it is a run with model=toy.*model\.distance_checkpoint"):
        load_distance(only_encoder)
    with pytest.raises(ConfigError, match="no encoder"):
        load_encoder(only_distance)
    with pytest.raises(ConfigError, match=r"no checkpoint at .*nowhere\.ckpt"):
        load_encoder(tmp_path / "nowhere.ckpt")


def test_a_distance_whose_configuration_builds_another_network_is_refused(tmp_path, nets):
    weights = {f"distance.{k}": v for k, v in nets[1].state_dict().items()}
    path = write(tmp_path / "d.ckpt", {"distance": {**ENCODER, "channels": 3}}, weights)
    with pytest.raises(ConfigError, match=r"d\.ckpt"):  # ResNet1d has no channels
        load_distance(path)
    spectral = {"_target_": "relcon_lightning.nets.SpectralDistance", "channels": 3}
    with pytest.raises(ConfigError, match=r"d\.ckpt"):
        load_distance(write(tmp_path / "d.ckpt", {"distance": spectral}, {}))


def test_weights_of_another_shape_are_refused(tmp_path, nets):
    weights = {f"distance.{k}": v for k, v in MotifDistance(8, 7).state_dict().items()}
    path = write(tmp_path / "d.ckpt", {"distance": DISTANCE}, weights)
    with pytest.raises(ConfigError, match=r"(?s)do not fit its configuration.*size mismatch"):
        load_distance(path)


def test_foreign_newer_and_truncated_files_are_refused(tmp_path, checkpoint):
    for foreign in ({"state_dict": {}}, {KEY: "1"}, [1]):
        torch.save(foreign, tmp_path / "foreign.ckpt")
        with pytest.raises(ConfigError, match="not written by relcon-pretrain"):
            Checkpoint.read(tmp_path / "foreign.ckpt")
    newer = write(tmp_path / "newer.ckpt", {}, {}, format=FORMAT + 1)
    with pytest.raises(ConfigError, match="upgrade relcon-lightning"):
        Checkpoint.read(newer)
    for cut in (0, 100, -200):
        broken = tmp_path / "broken.ckpt"
        broken.write_bytes(checkpoint.read_bytes()[:cut])
        with pytest.raises(ConfigError, match=r"broken\.ckpt is not a checkpoint"):
            Checkpoint.read(broken)


@pytest.mark.parametrize(
    "content", [b"hydra:\n  run:\n    dir: runs\n", b"h\x00", b"]q\x00.", b"\x80\x02K", bytes(range(256))]
)
def test_any_other_file_is_refused_whatever_its_bytes_make_of_the_unpickler(tmp_path, content):
    (tmp_path / "other.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"other\.yaml is not a checkpoint"):
        Checkpoint.read(tmp_path / "other.yaml")


PEOPLE = {"salt": "s", "hashes": []}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": None}, "config has type NoneType, expected dict"),
        ({"config": {"model": {"name": "toy", "method": []}}}, r"config\.model\.method has type list"),
        ({"config": {"model": {"name": 5, "method": {}}}}, r"config\.model\.name has type int"),
        ({"config": {"model": {"name": "toy", "method": {}}, "data": 5}}, r"config\.data has type int"),
        ({"data": "toy"}, "data has type str"),
        ({"participants": None}, "participants is not a salt with hashes"),
        ({"participants": {"salt": "s"}}, "participants is not a salt with hashes"),
        ({"participants": {"salt": 1, "hashes": []}}, r"participants\.salt has type int"),
        ({"participants": {"salt": "s", "hashes": "abc"}}, r"participants\.hashes has type str"),
        ({"participants": {"salt": "s", "hashes": [1]}}, "values other than text"),
        ({"participants": {**PEOPLE, "more": 1}}, "not a salt with hashes"),
        ({"built_from": {}}, "built_from has type dict"),
        ({"built_from": [1]}, "built_from contains values other than"),
        ({"built_from": [{"participants": [PEOPLE, {}]}]}, "not a salt with hashes"),
        ({"format": [1]}, "checkpoint format"),
        ({"format": None}, "checkpoint format"),
    ],
)
def test_a_value_of_another_type_is_named(tmp_path, change, message):
    with pytest.raises(ConfigError, match=rf"odd\.ckpt .*{message}"):
        Checkpoint.read(write(tmp_path / "odd.ckpt", {}, {}, **change))


@pytest.mark.parametrize("config", [{}, {"model": {}}, {"model": {"name": "toy"}}])
def test_what_a_checkpoint_does_not_say_is_named_where_it_is_needed(tmp_path, config):
    path = write(tmp_path / "bare.ckpt", {}, {}, config=config)
    for load in (load_encoder, load_distance, lambda path: Checkpoint.read(path).fresh_encoder(0)):
        with pytest.raises(ConfigError, match=r"bare\.ckpt does not describe its model"):
            load(path)


@pytest.mark.parametrize("encoder", [{}, {**ENCODER, "_partial_": True}, "ResNet1d", 5, None, {"widths": [1]}])
def test_what_is_no_description_of_a_net_is_refused(tmp_path, nets, encoder):
    weights = {f"encoder.{k}": v for k, v in nets[1].state_dict().items()}
    path = write(tmp_path / "odd.ckpt", {"encoder": encoder}, weights)
    for load in (load_encoder, lambda path: Checkpoint.read(path).fresh_encoder(0)):
        with pytest.raises(ConfigError, match=r"odd\.ckpt do not fit its configuration"):
            load(path)


@pytest.mark.parametrize("weights", [None, [1], {"w": 1}, {1: torch.zeros(1)}])
def test_weights_that_are_none_are_named(tmp_path, weights):
    with pytest.raises(ConfigError, match=r"odd\.ckpt was changed or damaged: state_dict"):
        Checkpoint.read(write(tmp_path / "odd.ckpt", {}, weights))


class _Harm:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    target = tmp_path / "pwned"
    torch.save({"state_dict": {}, "harm": _Harm(target)}, tmp_path / "evil.ckpt")
    with pytest.raises(ConfigError, match="not a checkpoint that can be read safely"):
        Checkpoint.read(tmp_path / "evil.ckpt")
    assert not target.exists()


EVIL = {"_target_": "os.mkdir", "path": "PWNED"}
HIDDEN = {
    "top": EVIL,
    "nested": {"widths": {"a": EVIL}},
    "list": {"widths": [EVIL]},
    "tuple": {"widths": (EVIL,)},
    "text that is resolved to it": {"widths": "${oc.create:{_target_:os.mkdir,path:PWNED}}"},
    "a target that is resolved to it": {"_target_": "${oc.decode:os.mkdir}", "path": "PWNED"},
}


@pytest.mark.parametrize("where", HIDDEN)
def test_a_configuration_may_build_this_packages_classes_alone(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"The checkpoint's configuration (names|holds) "):
        build({**copy.deepcopy(ENCODER), **HIDDEN[where]})
    assert not list(tmp_path.iterdir())


# A module of ours imports others: their functions must not be reachable through it.
@pytest.mark.parametrize("target", ["relcon_lightning_evil.run", "relcon_lightning.data.store.write.shutil.rmtree"])
def test_what_this_package_imports_cannot_be_built_either(target):
    with pytest.raises(ConfigError, match=target):
        build({"_target_": target, "path": "/tmp/x"})
    assert build(ENCODER).dim == 16
