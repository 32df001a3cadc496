"""The format of checkpoints: the entry that is added to Lightning's, its checks, and the upgrades of older formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from relcon_lightning.data.recording import with_license
from relcon_lightning.runs.entry import check_entry

KEY = "relcon_lightning"
CHOSEN = "chosen"  # key in the entry of best.ckpt: the metric that chose it, and its value
# Format 1 has fast hashes of participants and no checksums in exports. Up to format 2, first layers are padded.
FORMAT = 3
_PADDED_UNTIL_2 = {
    f"relcon_lightning.nets.{name}"
    for name in ("MotifDistance", "ResNet1d", "resnet18_1d", "resnet34_1d", "small_resnet_1d")
}


def new_entry(
    config: Mapping[str, Any],
    participants: Mapping[str, Any],
    built_from: Sequence[Mapping[str, Any]],
    training: Mapping[str, Any],
    data: Mapping[str, str],
) -> dict[str, Any]:
    """The entry of a new checkpoint, in the current format.

    Args:
        config: Resolved configuration of the run.
        participants: ``salt`` and ``hashes`` of the participants of training and validation.
        built_from: Description of each checkpoint from which the run started.
        training: ``data``, the fingerprint of the cohort store, ``ranks``, the number of processes, and ``draws``, the
            version of the random numbers of a step.
        data: ``name``, ``position``, ``license`` and ``citation`` of the cohort.
    """
    return {
        "format": FORMAT,
        "version": version("relcon-lightning"),
        "config": dict(config),
        "participants": dict(participants),
        "built_from": [dict(part) for part in built_from],
        "training": dict(training),
        "data": dict(data),
    }


def upgraded(content: Any, where: str) -> dict[str, Any]:
    """The content of a checkpoint in the current format, with its types checked.

    Args:
        content: Content of a checkpoint of any format.
        where: Name of the file, for errors.

    Raises:
        ValueError: It has no entry of this package, is of a newer format, or a value has another type.
    """
    if not isinstance(content, dict) or not isinstance(content.get(KEY), dict):
        raise ValueError(f"{where} was not written by relcon-pretrain: it has no entry {KEY!r}.")
    current: dict[str, Any] = content
    while (found := current[KEY].get("format")) != FORMAT:
        if not isinstance(found, int) or found not in _UPGRADES:
            raise ValueError(
                f"{where} has checkpoint format {found}, but this version reads {FORMAT}: upgrade relcon-lightning."
            )
        current = _UPGRADES[found](current)
    current = {**current, KEY: with_license(current[KEY])}
    try:
        check_entry(current[KEY], current.get("state_dict", {}))
    except ValueError as error:
        raise ValueError(
            f"{where} was changed or damaged: {error}. Give another checkpoint, or get a new copy."
        ) from error
    return current


def _with_padded_stems(value: Any) -> Any:
    """Set the stem of formats 1 and 2 for every network with a stem in a part of a checkpoint's entry."""
    if isinstance(value, list):
        return [_with_padded_stems(one) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {name: _with_padded_stems(one) for name, one in value.items()}
    is_net = isinstance(value.get("_target_"), str) and value["_target_"] in _PADDED_UNTIL_2
    return {**changed, "stem": "padded"} if is_net else changed


_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {  # format to the upgrade to the next one
    1: lambda content: {**content, KEY: {**content[KEY], "format": 2}},
    2: lambda content: {**content, KEY: {**_with_padded_stems(content[KEY]), "format": 3}},
}
