"""Read checkpoints, and load the trained parts.

A checkpoint is Lightning's with one additional entry: the format, the plain configuration of the model, and the salted
hashes of the participants on whom it was trained. It is read with ``weights_only=True`` (no pickled code), and its
configuration may name only networks of this package.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from relcon_lightning import nets
from relcon_lightning.errors import ConfigError, nearest_path
from relcon_lightning.nets import MotifDistance
from relcon_lightning.runs.archive import load_archive
from relcon_lightning.runs.entry import check_entry
from relcon_lightning.runs.fit import check_fit
from relcon_lightning.runs.trust import is_trusted

log = logging.getLogger(__name__)

KEY = "relcon_lightning"
# 1 had fast hashes of the participants, and exports without checksums; until 2 all nets padded their first layer.
FORMAT = 3
LAST = Path("checkpoints", "last.ckpt")  # of a run's folder
BEST = Path("checkpoints", "best.ckpt")
CHOSEN = "chosen"  # of the entry of best.ckpt: the metric that chose it, and its value
WEIGHTS, CONFIG = "model.safetensors", "config.json"  # of an exported folder
_MAX_CONFIG_BYTES = 2**24
_HUB = "hf://"
_MOST_KEPT = 32  # checkpoints in memory, of 15 MB with the paper's encoder
_SHIPPED = Path(__file__).parents[1] / "pretrained"
_BUILDABLE = {f"relcon_lightning.nets.{name}" for name in nets.__all__}
_PADDED_UNTIL_2 = {
    f"relcon_lightning.nets.{name}"
    for name in ("MotifDistance", "ResNet1d", "resnet18_1d", "resnet34_1d", "small_resnet_1d")
}


def _with_padded_stems(value: Any) -> Any:
    """A part of a checkpoint's entry, in which every net that has a stem names the one of formats 1 and 2."""
    if isinstance(value, list):
        return [_with_padded_stems(one) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {name: _with_padded_stems(one) for name, one in value.items()}
    is_net = isinstance(value.get("_target_"), str) and value["_target_"] in _PADDED_UNTIL_2
    return {**changed, "stem": "padded"} if is_net else changed


_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {  # from a format to the next one
    1: lambda content: {**content, KEY: {**content[KEY], "format": 2}},
    2: lambda content: {**content, KEY: {**_with_padded_stems(content[KEY]), "format": 3}},
}


def shipped() -> dict[str, Path]:
    """Encoders that come with the package: name to exported folder."""
    return {folder.name: folder for folder in sorted(_SHIPPED.iterdir()) if (folder / CONFIG).is_file()}


def located(path: str | Path) -> Path:
    """The path itself; if it does not exist and is a name of :func:`shipped`, the folder of that encoder."""
    return Path(path) if Path(path).exists() else shipped().get(str(path), Path(path))


_kept: ContextVar[OrderedDict[tuple[object, ...], dict[str, Any]] | None] = ContextVar("kept", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Within this, a checkpoint that was read is kept, so that it is not read again while its file stays the same.

    What :func:`read_checkpoint` returns must not be changed then. Only what a net is built from is kept: an optimizer's
    state is left out.
    """
    token = _kept.set(OrderedDict())
    try:
        yield
    finally:
        _kept.reset(token)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint that this or an earlier version of the package wrote, on the CPU.

    Args:
        path: Checkpoint file, run folder (its last checkpoint), folder made by ``relcon-export``, such a folder on the
            Hugging Face Hub as ``hf://owner/name`` (extra ``hub``), or the name of an encoder that comes with the
            package: ``open-wrist-small``.

    Raises:
        ConfigError: There is no such file, it is not a checkpoint, it would run code, or it is of another program or a
            newer format.
    """
    kept = _kept.get()
    if kept is None:
        return _read_checkpoint(path)
    identity = _identity(path)
    if identity not in kept:
        content = _read_checkpoint(path)
        kept[identity] = {key: content[key] for key in (KEY, "state_dict") if key in content}
        while len(kept) > _MOST_KEPT:
            kept.popitem(last=False)
    kept.move_to_end(identity)
    return kept[identity]


def _identity(path: str | Path) -> tuple[object, ...]:
    """The files of a checkpoint with what changes when they do."""
    found = Path(path) if str(path).startswith(_HUB) else located(path)
    files = [file for file in (found, found / LAST, found / CONFIG, found / WEIGHTS) if file.is_file()]
    return (str(path), *((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files))


def _read_checkpoint(path: str | Path) -> dict[str, Any]:
    path = _downloaded(str(path)) if str(path).startswith(_HUB) else located(path)
    if (path / CONFIG).is_file():
        checkpoint = _read_exported(path)
    else:
        path = path / LAST if path.is_dir() else path
        if not path.is_file():
            raise ConfigError(
                f"There is no checkpoint at {path}{nearest_path(path)}. Train one with relcon-pretrain, or correct the "
                "path."
            )
        try:
            checkpoint = load_archive(path)
        except ValueError as error:
            raise ConfigError(
                f"{path} is not a checkpoint that can be read safely: {error}. Give another checkpoint of "
                "the run, or get the file again."
            ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(KEY), dict):
        raise ConfigError(f"{path} was not written by relcon-pretrain: it has no entry {KEY!r}.")
    while (found := checkpoint[KEY].get("format")) != FORMAT:
        if not isinstance(found, int) or found not in _UPGRADES:
            raise ConfigError(
                f"{path} has checkpoint format {found}, this version reads {FORMAT}: upgrade relcon-lightning."
            )
        checkpoint = _UPGRADES[found](checkpoint)
    try:
        check_entry(checkpoint[KEY], checkpoint.get("state_dict", {}))
    except ValueError as error:
        raise ConfigError(
            f"{path} was changed or damaged: {error}. Give another checkpoint, or get it again."
        ) from error
    if "steps" not in checkpoint[KEY]:  # exports have it
        checkpoint[KEY]["steps"] = checkpoint.get("global_step")
    return checkpoint


def _read_exported(folder: Path) -> dict[str, Any]:
    try:
        if (folder / CONFIG).stat().st_size > _MAX_CONFIG_BYTES:
            raise ValueError(f"{CONFIG} has more than {_MAX_CONFIG_BYTES >> 20} MiB")
        content = json.loads((folder / CONFIG).read_text("utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
        _check_sums(folder, content, weights)
        return {KEY: content[KEY], "state_dict": load(weights)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError, SafetensorError) as error:
        raise ConfigError(
            f"{folder} is not an exported encoder that can be read: {error}. Export it again, or get it again."
        ) from error


def checksums(entry: dict[str, Any], weights: bytes) -> dict[str, str]:
    """Checksums in ``config.json``: file to SHA-256; for ``config.json`` itself, that of the entry."""
    own = json.dumps(json.loads(json.dumps(entry)), sort_keys=True).encode()  # keys as they are when it is read back
    return {CONFIG: hashlib.sha256(own).hexdigest(), WEIGHTS: hashlib.sha256(weights).hexdigest()}


def _check_sums(folder: Path, content: dict[str, Any], weights: bytes) -> None:
    entry = content[KEY]
    if entry["format"] == 1:
        log.info("%s was exported without checksums: damage to it cannot be detected.", folder)
        return
    for name, found in checksums(entry, weights).items():
        if content["checksums"][name] != found:
            raise ValueError(f"{name} was changed or damaged, its SHA-256 is not that of the written file")


def _downloaded(address: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ConfigError(f"{address} needs: pip install 'relcon-lightning[hub]'.") from error
    try:
        return Path(snapshot_download(address.removeprefix(_HUB), allow_patterns=[WEIGHTS, CONFIG]))
    except (OSError, ValueError) as error:  # its own errors are among them
        raise ConfigError(f"{address} cannot be fetched: {error}") from error


@dataclass(frozen=True)
class BuiltFrom:
    """A checkpoint from which a run started, as it is described in the checkpoints of the run.

    Attributes:
        role: ``distance`` (the frozen motif distance) or ``start`` (the checkpoint from which the run resumed).
        config: Configuration of the model.
        weights: SHA-256 of the weights.
        participants: ``salt`` and ``hashes`` of each set of people on whom the weights were trained.
    """

    role: str
    config: dict[str, Any]
    weights: str
    participants: list[dict[str, Any]]

    @classmethod
    def read(cls, path: str | Path, role: str) -> BuiltFrom:
        """Describe a checkpoint.

        Raises:
            ConfigError: See :func:`read_checkpoint`.
        """
        content = read_checkpoint(path)
        return cls(role, content[KEY]["config"], weights_hash(content["state_dict"]), people_of(content[KEY]))


def people_of(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``salt`` and ``hashes`` of each set of people on whose recordings a checkpoint was trained.

    Args:
        entry: Provenance of the checkpoint, see :func:`provenance`.
    """
    if "participants" not in entry:
        raise ConfigError(
            "A checkpoint has no list of its training participants, so they cannot be excluded from a test."
        )
    own = [entry["participants"], *(people for part in entry.get("built_from", []) for people in part["participants"])]
    return [people for i, people in enumerate(own) if people not in own[:i]]


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_distance(checkpoint: str | Path | None, fused: bool = False) -> MotifDistance:
    """Load the motif distance of a run with ``model=distance``, or of a RelCon run, in evaluation mode.

    Args:
        checkpoint: Checkpoint file, or folder of a run.
        fused: See :class:`~relcon_lightning.nets.MotifDistance`. A checkpoint does not store it.

    Raises:
        ConfigError: No checkpoint is given, it is missing or has no motif distance, or its weights do not have the
            shapes of its configuration.
    """
    if checkpoint is None:
        raise ConfigError("model.distance_checkpoint must be given: the folder of a run with model=distance.")
    content = read_checkpoint(checkpoint)
    name, method = _model(content, checkpoint)
    own = next((part for part in content[KEY].get("built_from", []) if part.get("role") == "distance"), None)
    if own is not None:  # the distance that RelCon used; its weights are in the checkpoint
        method = own["config"].get("model", {}).get("method", {})  # not in an export
    config = method.get("distance")
    if not isinstance(config, dict) or "channels" not in config:
        raise ConfigError(
            f"{checkpoint} contains no motif distance; it is a run with model={name}: "
            "give model.distance_checkpoint=PATH of a run with model=distance."
        )
    distance = _restore(config, content, "distance.", checkpoint)
    if not isinstance(distance, MotifDistance):
        raise ConfigError(
            f"{checkpoint} was changed or damaged: its motif distance describes another network, "
            f"{type(distance).__name__}. Give another checkpoint, or get it again."
        )
    distance.fused = fused
    return distance


def load_encoder(path: str | Path) -> nn.Module:
    """Load the encoder of a pre-training run, in evaluation mode: ``encoder(x (B, 3, T) in g) -> (B, encoder.dim)``.

    Args:
        path: Checkpoint file, run folder, exported folder, or ``hf://owner/name``.

    Raises:
        ConfigError: See :func:`~relcon_lightning.runs.checkpoint.read_checkpoint`; or the checkpoint has no encoder.
    """
    return encoder_of(read_checkpoint(path), path)


def encoder_of(content: dict[str, Any], path: str | Path) -> nn.Module:
    """:func:`load_encoder` of what :func:`read_checkpoint` gave for the path."""
    return _restore(_encoder_config(content, path), content, "encoder.", path)


def _encoder_config(content: dict[str, Any], path: str | Path) -> dict[str, Any]:
    name, method = _model(content, path)
    if "encoder" not in method:
        raise ConfigError(f"{path} contains no encoder: it is a run with model={name}.")
    config: dict[str, Any] = method["encoder"]
    return config


def _model(content: dict[str, Any], path: str | Path) -> tuple[str, dict[str, Any]]:
    """Name of the model, and configuration of its method."""
    try:
        model = content[KEY]["config"]["model"]
        return model["name"], model["method"]
    except KeyError as error:
        raise ConfigError(
            f"{path} has no description of the model ({error} is missing): give another checkpoint."
        ) from error


def provenance(path: str | Path) -> dict[str, Any]:
    """Provenance of a checkpoint: ``format``, ``version``, ``config``, ``steps`` and hashed ``participants``."""
    entry: dict[str, Any] = read_checkpoint(path)[KEY]
    return entry


def fresh_encoder(path: str | Path, seed: int) -> nn.Module:
    """The architecture of :func:`load_encoder` with random weights, as a baseline."""
    content = read_checkpoint(path)
    config = _encoder_config(content, path)
    _fitting(config, content, "encoder.", path)
    return seeded(config)(seed).eval()


def seeded(config: dict[str, Any]) -> Callable[[int], nn.Module]:
    """Function from a seed to a network with the given configuration and random weights."""

    def make(seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net: nn.Module = build(config)
        return net

    return make


def build(config: dict[str, Any]) -> Any:
    """Instantiate a configuration from a checkpoint, which may name only networks of this package.

    Raises:
        ConfigError: It names anything else, or could do so when it is resolved.
    """
    _refuse_foreign(config)
    return instantiate(config)


def _refuse_foreign(config: Any) -> None:
    """Allow only plain values without interpolations, which could turn text into a ``_target_``."""
    if isinstance(config, dict):
        target = config.get("_target_")
        if target is not None and str(target) not in _BUILDABLE and not is_trusted(str(target)):
            raise ConfigError(
                f"The checkpoint's configuration names {target!r}; only relcon_lightning.nets are built. A network of "
                "your own package is built if you name the package: trust=[mypackage]. Its code then runs."
            )
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            _refuse_foreign(value)
    elif not isinstance(config, str | int | float | None) or "${" in str(config):
        raise ConfigError(f"The checkpoint's configuration holds {config!r}; expected plain values.")


def _restore(config: dict[str, Any], content: dict[str, Any], prefix: str, path: str | Path) -> nn.Module:
    weights = _fitting(config, content, prefix, path)
    net: nn.Module = build(config)
    net.load_state_dict(weights)
    return net.eval()


def _fitting(config: dict[str, Any], content: dict[str, Any], prefix: str, path: str | Path) -> dict[str, Tensor]:
    """Weights of a part, compared with its configuration before memory is allocated for the network."""
    weights = {name.removeprefix(prefix): w for name, w in content["state_dict"].items() if name.startswith(prefix)}
    _refuse_foreign(config)
    try:
        check_fit(partial(instantiate, config), weights)
    except ValueError as error:
        raise ConfigError(
            f"The weights in {path} do not fit its configuration: {error}. The file was changed: get it again, or give "
            "another checkpoint."
        ) from error
    return weights
