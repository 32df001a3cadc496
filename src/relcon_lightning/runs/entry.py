"""Check the types in a checkpoint's entry once, so that later code can rely on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def check_entry(entry: Mapping[str, Any], weights: Any) -> None:
    """Check the types of a checkpoint's values. Missing values are reported later, when they are needed.

    Args:
        entry: Entry in the current format.
        weights: ``state_dict`` of the checkpoint.

    Raises:
        ValueError: A value has another type. The message names it.
    """
    config = _typed(entry, "config", dict)
    model = _typed(config, "model", dict, "config.")
    _typed(model, "name", str, "config.model.")
    _typed(model, "method", dict, "config.model.")
    _typed(config, "data", dict, "config.")
    _typed(config, "trainer", dict, "config.")
    _typed(entry, "data", dict)
    if "participants" in entry:
        _check_people(entry["participants"], "participants")
    for part in _typed(entry, "built_from", list):
        if not isinstance(part, dict):
            raise ValueError("built_from contains values other than checkpoints")
        _typed(_typed(part, "config", dict, "built_from."), "model", dict, "built_from.config.")
        for people in _typed(part, "participants", list, "built_from."):
            _check_people(people, "built_from.participants")
    if not isinstance(entry.get("steps"), int | None):
        raise ValueError("steps is not a number")
    if "chosen" in entry:
        chosen = _typed(entry, "chosen", dict)
        _typed(chosen, "metric", str, "chosen.")
        _typed(chosen, "value", float, "chosen.")
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise ValueError("state_dict contains values other than tensors")
    if not all(isinstance(name, str) for name in weights):
        raise ValueError("state_dict contains names other than text")


def _check_people(people: Any, where: str) -> None:
    if not isinstance(people, dict) or people.keys() != {"salt", "hashes"}:
        raise ValueError(f"{where} is not a salt with hashes")
    _typed(people, "salt", str, f"{where}.")
    if not all(isinstance(text, str) for text in _typed(people, "hashes", list, f"{where}.")):
        raise ValueError(f"{where}.hashes contains values other than text")


def _typed(values: Mapping[str, Any], name: str, kind: type, prefix: str = "") -> Any:
    value = values.get(name, kind())
    if not isinstance(value, kind):
        raise ValueError(f"{prefix}{name} has type {type(value).__name__}, expected {kind.__name__}")
    return value
