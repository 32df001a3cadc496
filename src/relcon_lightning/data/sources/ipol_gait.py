"""Walks of healthy people, 10 m and back, with annotated footsteps (Voisard et al. 2023)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from relcon_lightning.data.readers.labels import within
from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY, gap_free, part_ids
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import DataError

_LAYOUT = (
    "Expected GaitData/1-1_lb.txt with GaitData/1-1.json and so on, in folders, in one .zip or in one .tar.xz. Get "
    "them from https://github.com/CyrilVoisard/ipol_dataset_1."
)
_KINDS = ("_lb.txt", ".json")
_PATTERN = r"([1-9]\d*)-([1-9]\d*)(_lb\.txt|\.json)"
_COUNTER = "PacketCounter"
_AXES = [f"Acc_{axis}" for axis in "XYZ"]
_LEG_M = 10.0  # length of each of the two legs
_SUPPORT_S = (0.1, 0.5)  # plausible range; other strides have a wrong or missing footstep


@dataclass(frozen=True)
class _Leg:
    """A straight part of a walk, in packets."""

    start: int
    end: int


class IpolGait(InUnits):
    """19 people walk 10 m, turn and walk back, with a sensor on the lower back, 100 Hz, one recording per trial.

    Each leg of a walk is a segment with the target ``stride_velocity`` in m/s: 10 m divided by the time of the leg.
    Each stride inside a leg is a segment with the target ``double_support`` in s: the duration of the stride minus
    the two swings. A stride whose double support is not between 0.1 and 0.5 s is left out. Standing and the turn have
    no segments.

    Up to a fifth of the wireless sensor's packets in a trial are missing. The annotations count packets, not rows of
    the table.

    The set's licence is AGPL-3.0. Use it to evaluate: weights that were trained on it must not be published under
    another licence.

    Args:
        raw_dir: Folder with ``GaitData/1-1_lb.txt``, ``GaitData/1-1.json`` and so on, plain or in an archive.
        max_gap_s: Longest gap that is interpolated, in seconds. Longer gaps split a trial.

    Raises:
        DataError: The files are missing, or a trial lacks one of its two files.
    """

    info = CohortInfo(
        name="ipol_gait",
        sampling_rate=100.0,
        position="lower back",
        source="https://github.com/CyrilVoisard/ipol_dataset_1",
        license="AGPL-3.0",
        citation="Voisard et al. (2023). Image Processing On Line.",
    )

    def __init__(self, raw_dir: str | Path | None, max_gap_s: float = 0.1) -> None:
        self.max_gap_s = max_gap_s
        found = find_files(raw_dir, _PATTERN, _LAYOUT)
        self.trials: dict[tuple[int, int], tuple[RawFile, RawFile]] = {}
        for person, trial in sorted({(int(key[0]), int(key[1])) for key in found}):
            for kind in _KINDS:
                if (str(person), str(trial), kind) not in found:
                    raise DataError(f"{raw_dir} has no {person}-{trial}{kind}, which a trial needs. {_LAYOUT}")
            table, marks = (found[str(person), str(trial), kind] for kind in _KINDS)
            self.trials[person, trial] = (table, marks)

    def units(self) -> list[Unit]:
        """One unit per trial."""
        return [Unit(table.name, trial) for trial, (table, _) in self.trials.items()]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read a trial, split where packets are missing."""
        (person, trial), (table, marks) = unit.key, self.trials[unit.key]
        participant, rate = f"ipol_gait-{person:02d}", self.info.sampling_rate
        packets, signal = _packets(table, rate)
        content = _marks(marks)
        segments = list(_segments(content, int(packets[-1]) + 1, rate, marks.where))
        _, stretches = gap_free(packets / rate, signal, table.where, self.max_gap_s, rate)
        ids = part_ids(f"{participant}-{trial}", len(stretches))
        for name, (start_s, part) in zip(ids, stretches, strict=True):
            inside = within(segments, start_s, len(part) / rate)
            yield Recording(name, participant, part, rate, inside, attributes=_attributes(content))


def _packets(file: RawFile, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers ``(n,)`` of the packets that arrived, from 0, and their acceleration ``(n, 3)`` in g."""
    first, _, rest = file.read().partition(b"\n")
    stated = re.fullmatch(rb"Acquisition frequency: ([\d.]+) Hz", first.strip())
    if stated is None or float(stated[1]) != rate:
        raise DataError(f"{file.where} begins with {first[:60]!r}, expected 'Acquisition frequency: {rate:g} Hz'.")
    columns = read_columns(rest, file.where, dict.fromkeys([_COUNTER, *_AXES], float), separator="\t")
    counter = columns[_COUNTER]
    if not np.isfinite(counter).all() or (np.diff(counter) < 0).any():
        raise DataError(f"{file.where}: {_COUNTER} decreases, or is not a number in every row.")
    arrived, row = np.unique(counter, return_index=True)  # a packet may arrive twice
    signal = stack(columns, _AXES)[row] / STANDARD_GRAVITY
    return arrived - arrived[0], signal


def _marks(file: RawFile) -> dict[str, Any]:
    try:
        content = json.loads(file.read())
    except ValueError as error:
        raise DataError(f"{file.where} is not valid JSON ({error}); download or copy it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{file.where} does not contain the annotations of a trial.")
    return content


def _attributes(content: dict[str, Any]) -> dict[str, str | float]:
    """Attributes of the person."""
    numbers = {"Age": "age", "Height": "height_cm", "Weight": "weight_kg"}
    known: dict[str, str | float] = {
        ours: float(content[name]) for name, ours in numbers.items() if isinstance(content.get(name), Real)
    }
    return known | ({"sex": content["Gender"]} if isinstance(content.get("Gender"), str) else {})


def _segments(content: dict[str, Any], packets: int, rate: float, where: str) -> Iterator[Segment]:
    trial, turn = (_interval(content, name, packets, where) for name in ("TrialBoundaries", "UTurnBoundaries"))
    if not trial.start < turn.start < turn.end < trial.end:
        raise DataError(
            f"{where}: the turn {turn.start} to {turn.end} is not inside the trial {trial.start} to {trial.end}."
        )
    left, right = (_swings(content, f"{foot}FootEvents", where) for foot in ("Left", "Right"))
    strides = [*_strides(left, right, rate), *_strides(right, left, rate)]
    for leg in (_Leg(trial.start, turn.start), _Leg(turn.end, trial.end)):
        speed = _LEG_M / ((leg.end - leg.start) / rate)
        yield Segment(leg.start / rate, leg.end / rate, targets={"stride_velocity": speed})
        for start, end, support in strides:
            if leg.start <= start and end <= leg.end:
                yield Segment(start / rate, end / rate, targets={"double_support": support})


def _strides(own: np.ndarray, other: np.ndarray, rate: float) -> Iterator[tuple[int, int, float]]:
    """Start, end and double support (s) of the strides of a foot that contain exactly one swing of the other foot.

    Args:
        own: Start and end ``(n, 2)`` of the swings of the foot, in packets.
        other: Start and end of the swings of the other foot.
        rate: Sampling rate in Hz.
    """
    for (start, down), end in zip(own[:-1].tolist(), own[1:, 0].tolist(), strict=True):
        inside = other[(other[:, 0] >= start) & (other[:, 1] <= end)]
        if len(inside) == 1:
            support = (end - start - (down - start) - int(np.diff(inside[0])[0])) / rate
            if _SUPPORT_S[0] <= support <= _SUPPORT_S[1]:
                yield start, end, support


def _swings(content: dict[str, Any], name: str, where: str) -> np.ndarray:
    """Packets ``(n, 2)`` at which a foot leaves the ground and lands."""
    pairs = np.asarray(_field(content, name, where), dtype=object)
    if pairs.size == 0:
        return np.empty((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not all(isinstance(x, int) for x in pairs.ravel()):
        raise DataError(f"{where}: {name} is not a list of [start, end] in packets.")
    swings: np.ndarray = pairs.astype(np.int64)
    if (np.diff(swings.ravel()) < 0).any():
        raise DataError(f"{where}: the swings in {name} do not follow one another.")
    return swings


def _interval(content: dict[str, Any], name: str, packets: int, where: str) -> _Leg:
    pair = _field(content, name, where)
    if not (isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(x, int) for x in pair)):
        raise DataError(f"{where}: {name} is {pair}, expected [start, end] in packets.")
    if not 0 <= pair[0] < pair[1] <= packets:
        raise DataError(f"{where}: {name} is {pair}, but the recording has {packets} packets.")
    return _Leg(*pair)


def _field(content: dict[str, Any], name: str, where: str) -> Any:
    if name not in content:
        raise DataError(f"{where} has no {name}.")
    return content[name]
