"""Select the parts of a checkpoint from which training resumes: numbers and tensors, but no paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from relcon_lightning.errors import ConfigError

_NUMBERS = {"epoch": int, "global_step": int, "pytorch-lightning_version": str}
_MAPPINGS = {"state_dict": dict, "loops": dict}
_LISTS = {"optimizer_states": list, "lr_schedulers": list}
_PRECISION = ("MixedPrecision", "native_amp_scaling_state")
_LENGTHS = {"T_max", "total_steps", "total_iters"}  # lengths of a schedule, taken from the configuration instead


def restorable(checkpoint: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Entries of a checkpoint from which training resumes, by an allow-list.

    Hyperparameters, states of data modules, and all text in the states of callbacks are removed, because Lightning
    deletes the paths that it finds there. Callbacks get their paths from the folder of the run.

    Args:
        checkpoint: Content of the file.
        where: Name of the file, for errors.

    Raises:
        ConfigError: An entry is missing or has another type.
    """
    kept: dict[str, Any] = {}
    for name, kind in (_NUMBERS | _MAPPINGS | _LISTS).items():
        value = checkpoint.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(
                f"Training cannot resume from {where}: its entry {name!r} is missing or damaged. Start a new run, "
                "or give another checkpoint."
            )
        kept[name] = value
    if kept["global_step"] < 0 or not all(_is_optimizer(state) for state in kept["optimizer_states"] or [None]):
        raise ConfigError(
            f"Training cannot resume from {where}: it has no state of an optimizer, or a negative number of steps. "
            "Start a new run, or give another checkpoint."
        )
    if not all(isinstance(tensor, Tensor) for tensor in kept["state_dict"].values()):
        raise ConfigError(f"Training cannot resume from {where}: its weights are not tensors.")
    kept["loops"] = _unfinished(kept["loops"], where)
    kept["optimizer_states"] = [_numbers(state) for state in kept["optimizer_states"]]
    kept["lr_schedulers"] = [_numbers(state, leave_out=_LENGTHS) for state in kept["lr_schedulers"]]
    callbacks = checkpoint.get("callbacks")
    kept["callbacks"] = {str(name): _numbers(state) for name, state in dict(callbacks or {}).items()}
    kept["callbacks"] = {name: state for name, state in kept["callbacks"].items() if not name.startswith("ModelChe")}
    kept |= {name: _numbers(checkpoint[name]) for name in _PRECISION if name in checkpoint}
    return kept


def _is_optimizer(state: Any) -> bool:
    """True for the state of an optimizer with one group of parameters or more."""
    return isinstance(state, Mapping) and bool(state.get("param_groups")) and "state" in state


def _unfinished(loops: dict[str, Any], where: str) -> dict[str, Any]:
    """Set the progress to the point in the single epoch after a step, before the next step has begun.

    A checkpoint is written when the next step has begun, or when the epoch has ended. Without this change, Lightning
    would count that step twice, or treat the epoch as finished.
    """
    try:
        fit = _numbers(dict(loops["fit_loop"]))
        batches = fit["epoch_loop.batch_progress"]
        whole = batches["current"]["completed"] == batches["current"]["processed"]  # also validated and logged
        for name in ("total", "current"):
            done = int(batches[name]["processed"])
            batches[name] |= {"ready": done, "started": done, "processed": done, "completed": done - 1}
        batches["is_last_batch"] = False
        fit["epoch_loop.state_dict"]["_batches_that_stepped"] -= whole
        for name in ("total", "current"):
            fit["epoch_progress"][name] |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"Training cannot resume from {where}: its entry 'loops' is damaged.") from error
    return {"fit_loop": fit}


def _numbers(state: Any, leave_out: Collection[str] = ()) -> Any:
    """Reduce a state to numbers, tensors and containers of them."""
    if isinstance(state, Mapping):
        return {
            name: _numbers(value)
            for name, value in state.items()
            if name not in leave_out and (_is_plain(value)) and not (isinstance(name, str) and "/" in name)
        }
    if isinstance(state, list | tuple):
        return type(state)(_numbers(value) for value in state if _is_plain(value))
    return state


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | Tensor | Mapping | list | tuple)
