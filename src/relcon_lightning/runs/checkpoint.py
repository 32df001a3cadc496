"""Read a checkpoint: the trained parts, and how they were trained.

A checkpoint is that of Lightning with one additional entry: the format, the plain configuration of the model, and
the salted hashes of the participants on whom it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets import EmbeddingDistance, MotifDistance
from relcon_lightning.runs.checkpoint_files import read_content
from relcon_lightning.runs.checkpoint_format import CHOSEN, KEY
from relcon_lightning.runs.checkpoint_paths import located, require_distance, shipped_name
from relcon_lightning.runs.networks import refuse_unfit, restored, seeded, weights_hash


class Chosen(NamedTuple):
    """The metric by which the best checkpoint of a run was chosen on the validation participants, and its value."""

    metric: str
    value: float


@dataclass(frozen=True)
class BuiltFrom:
    """A checkpoint from which a run started, as it is described in the checkpoints of the run.

    Attributes:
        role: ``distance`` (the frozen distance that ranks candidates) or ``start`` (the checkpoint from which
            the run resumed).
        config: Configuration of the model.
        weights: SHA-256 of the weights.
        participants: ``salt`` and ``hashes`` of each set of people on whom the weights were trained.
    """

    role: str
    config: dict[str, Any]
    weights: str
    participants: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint of a run, or an exported encoder. It is read once, and must not be changed.

    The state of the optimizer is left out: Lightning reads it when a run resumes.

    Attributes:
        path: Where it was read from: a file, a folder, or an address on the Hub.
        entry: Entry that this package adds to checkpoints, in the current format.
        weights: Mapping from name to tensor, on the CPU.
        step: Number of steps that were trained; None if the file does not say so.
    """

    path: str
    entry: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    step: int | None = None

    @classmethod
    def read(cls, path: str | Path) -> Checkpoint:
        """Read a checkpoint that this or an earlier version of the package wrote.

        Args:
            path: Checkpoint file, run folder (its last checkpoint), folder made by ``relcon-export``, such a folder on
                the Hugging Face Hub as ``hf://owner/name`` (extra ``hub``), or the name of an encoder that comes with
                the package: ``open-wrist-small``.

        Raises:
            ConfigError: There is no such file, it is not a checkpoint, loading it would run code, or it was
                written by another program or in a newer format.
        """
        content = read_content(path)
        entry = content[KEY]
        step = content.get("global_step", entry.get("steps"))
        return cls(str(located(path)), entry, content.get("state_dict", {}), step if isinstance(step, int) else None)

    @property
    def name(self) -> str:
        """Path for reports; for an encoder that comes with the package its name, which is the same on all machines."""
        return shipped_name(self.path) or self.path

    @property
    def format(self) -> int:
        """Number of the format, to which older files were upgraded."""
        return int(self.entry["format"])

    @property
    def version(self) -> str:
        """Version of the package that wrote it."""
        return str(self.entry["version"])

    @property
    def config(self) -> dict[str, Any]:
        """Resolved configuration of the run; of an exported encoder, the part that was published."""
        config: dict[str, Any] = self.entry["config"]
        return config

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.config["seed"])

    @property
    def model(self) -> str:
        """Name of the method.

        Raises:
            ConfigError: The checkpoint does not describe its model.
        """
        return self._model()[0]

    @property
    def sampling_rate(self) -> float:
        """Sampling rate of the training windows in Hz.

        Raises:
            ConfigError: It is not known.
        """
        return self._window("sampling_rate")

    @property
    def window_s(self) -> float:
        """Length of the training windows in seconds.

        Raises:
            ConfigError: It is not known.
        """
        return self._window("window_s")

    @property
    def built_from(self) -> list[BuiltFrom]:
        """Checkpoints from which the run started."""
        return [
            BuiltFrom(
                part.get("role", ""), part.get("config", {}), part.get("weights", ""), part.get("participants", [])
            )
            for part in self.entry.get("built_from", [])
        ]

    @property
    def distance_run(self) -> BuiltFrom | None:
        """Run whose motif distance this one used, with its weights in this checkpoint; None if it used none."""
        return next((part for part in self.built_from if part.role == "distance"), None)

    @property
    def participants(self) -> list[dict[str, Any]]:
        """``salt`` and ``hashes`` of each set of people on whose recordings it, or its distance, was trained.

        Raises:
            ConfigError: The checkpoint has no list of them.
        """
        if "participants" not in self.entry:
            raise ConfigError(
                f"{self.name} has no list of its training participants, so they cannot be excluded from a test."
            )
        own = [self.entry["participants"], *(people for part in self.built_from for people in part.participants)]
        return [people for i, people in enumerate(own) if people not in own[:i]]

    @property
    def chosen(self) -> Chosen | None:
        """Why it is the best checkpoint of its run; None for other checkpoints."""
        found = self.entry.get(CHOSEN)
        return None if found is None else Chosen(found["metric"], float(found["value"]))

    @property
    def cohort(self) -> Mapping[str, str]:
        """``name``, ``position``, ``license`` and ``citation`` of the cohort, if they are known."""
        cohort: Mapping[str, str] = self.entry.get("data", {})
        return cohort

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the cohort store of the training; None if it is not known."""
        found = self.entry.get("training", {}).get("data")
        return None if found is None else str(found)

    @property
    def ranks(self) -> int | None:
        """Number of processes that trained together; None if it is not known."""
        found = self.entry.get("training", {}).get("ranks")
        return None if found is None else int(found)

    @property
    def draws(self) -> int:
        """Version of the random numbers of its steps, see ``DRAWS`` in :mod:`relcon_lightning.methods.base`."""
        return int(self.entry.get("training", {}).get("draws", 1))

    @property
    def has_encoder(self) -> bool:
        """True if it contains an encoder."""
        return "encoder" in self._model()[1]

    @property
    def encoder_config(self) -> dict[str, Any]:
        """Configuration of the encoder.

        Raises:
            ConfigError: It contains no encoder.
        """
        name, method = self._model()
        if "encoder" not in method:
            raise ConfigError(f"{self.name} contains no encoder: it is a run with model={name}.")
        config: dict[str, Any] = method["encoder"]
        return config

    def encoder(self) -> nn.Module:
        """The trained encoder in evaluation mode, a new one at each call: ``(B, 3, T)`` in g to ``(B, encoder.dim)``.

        Raises:
            ConfigError: It contains no encoder, or one that cannot be built.
        """
        return restored(self.encoder_config, self._part("encoder."), self.name)

    def fresh_encoder(self, seed: int) -> nn.Module:
        """The architecture of :meth:`encoder` with random weights, as a baseline.

        Raises:
            ConfigError: See :meth:`encoder`.
        """
        refuse_unfit(self.encoder_config, self._part("encoder."), self.name)
        return seeded(self.encoder_config)(seed).eval()

    def distance(self, fused: bool = False) -> MotifDistance:
        """The trained motif distance, or the one with which RelCon was trained, in evaluation mode.

        Args:
            fused: See :class:`~relcon_lightning.nets.MotifDistance`. A checkpoint does not store it.

        Raises:
            ConfigError: It contains no motif distance, or its weights do not have the shapes of its configuration.
        """
        name, method = self._model()
        if (run := self.distance_run) is not None:
            method = run.config.get("model", {}).get("method", {})  # an exported encoder has no such configuration
        config = method.get("distance")
        if not isinstance(config, dict) or "channels" not in config:
            raise ConfigError(
                f"{self.name} contains no motif distance; it is a run with model={name}: "
                "give model.distance_checkpoint=PATH of a run with model=distance."
            )
        distance = restored(config, self._part("distance."), self.name)
        if not isinstance(distance, MotifDistance):
            raise ConfigError(
                f"{self.name} was changed or damaged: its motif distance describes another network, "
                f"{type(distance).__name__}. Give another checkpoint, or get a new copy."
            )
        distance.fused = fused
        return distance

    def described(self, role: str) -> BuiltFrom:
        """Describe this checkpoint, for the checkpoints of a run that starts from it.

        Args:
            role: See :class:`BuiltFrom`.
        """
        return BuiltFrom(role, self.config, weights_hash(self.weights), self.participants)

    def _model(self) -> tuple[str, dict[str, Any]]:
        """Name of the model, and configuration of its method."""
        try:
            model = self.config["model"]
            return model["name"], model["method"]
        except KeyError as error:
            raise ConfigError(
                f"{self.name} does not describe its model ({error} is missing): give another checkpoint."
            ) from error

    def _window(self, name: str) -> float:
        data = self.config.get("data", {})
        if name not in data:
            raise ConfigError(f"{self.name} does not state data.{name}: give another checkpoint.")
        value: float = data[name]
        return value

    def _part(self, prefix: str) -> dict[str, Tensor]:
        """Weights of a part, with their names relative to the part."""
        return {name.removeprefix(prefix): w for name, w in self.weights.items() if name.startswith(prefix)}


def load_distance(checkpoint: str | Path | None, fused: bool = False) -> MotifDistance:
    """Load the motif distance of a run with ``model=distance``, or of a RelCon run, in evaluation mode.

    Args:
        checkpoint: See :meth:`~relcon_lightning.runs.checkpoint.Checkpoint.read`.
        fused: See :class:`~relcon_lightning.nets.MotifDistance`. A checkpoint does not store it.

    Raises:
        ConfigError: No checkpoint is given, it is missing or has no motif distance, or its weights do not have the
            shapes of its configuration.
    """
    return Checkpoint.read(require_distance(checkpoint)).distance(fused)


def load_embedding_distance(checkpoint: str | Path | None) -> EmbeddingDistance:
    """Load the encoder of a pre-training run as a distance between windows, in evaluation mode.

    Args:
        checkpoint: See :meth:`~relcon_lightning.runs.checkpoint.Checkpoint.read`.

    Raises:
        ConfigError: No checkpoint is given, it is missing or has no encoder, or its weights do not have the shapes of
            its configuration.
    """
    return EmbeddingDistance(Checkpoint.read(require_distance(checkpoint)).encoder()).eval()


def load_encoder(path: str | Path) -> nn.Module:
    """Load the encoder of a pre-training run, in evaluation mode: ``encoder(x (B, 3, T) in g) -> (B, encoder.dim)``.

    Args:
        path: Checkpoint file, run folder, exported folder, or ``hf://owner/name``; as for
            :meth:`~relcon_lightning.runs.checkpoint.Checkpoint.read`.

    Raises:
        ConfigError: See :meth:`~relcon_lightning.runs.checkpoint.Checkpoint.read`; or the checkpoint has no encoder.
    """
    return Checkpoint.read(path).encoder()
