"""Mobilise-D technical validation study: walks with a reference for each stride (Mazzà et al. 2021)."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from relcon_lightning.data.readers.labels import within
from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.stretches import gap_free, part_ids
from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.units import InFiles, Unit
from relcon_lightning.errors import ConfigError, DataError, nearest

log = logging.getLogger(__name__)

_LAYOUT = (
    "Expected HA/1001/Laboratory/data.mat or HA/1001/data.mat and so on: cohort, participant, laboratory. Get the "
    "archives of https://zenodo.org/records/13899386 and unpack each to a folder of its name."
)
_PATTERN = r"(CHF|COPD|HA|MS|PD|PFF)/(\w+)/(?:Laboratory/)?data\.mat"
# Name of the system, and True if its contacts are in samples instead of seconds.
REFERENCES = {"indip": ("INDIP", True), "stereophoto": ("Stereophoto", False)}
_BOUTS = "ContinuousWalkingPeriod"  # walking bouts; MicroWB contains the level parts of the same bouts
_UNIT_FACTOR = 2.0  # seconds mistaken for samples differ by a factor of 100


class MobiliseD(InFiles):
    """Walks and daily tasks with a sensor on the lower back, 100 Hz, one recording per trial.

    Each stride of a walking bout is a segment with targets ``stride_velocity`` in m/s and ``double_support`` in s.
    Strides of the two feet overlap. A stride lacks a target that its system could not measure, and is left out if it
    lacks both. Trials without walking bouts, or without the reference, have no segments.

    The systems differ in double support by a tenth of a second and more, so a store has the targets of only one.

    Args:
        raw_dir: Folder with ``HA/1001/Laboratory/data.mat`` and so on.
        reference: ``indip`` (inertial sensors and pressure insoles on the feet) or ``stereophoto`` (cameras).
        max_gap_s: Longest gap in a recording, in seconds. Longer gaps split a trial.

    Raises:
        ConfigError: Unknown reference.
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="mobilised",
        sampling_rate=100.0,
        position="lower back",
        source="https://zenodo.org/records/13899386, laboratory",
        license="CC BY 4.0",
        citation=(
            "Mazzà, Alcock, Aminian et al. (2021). Technical validation of real-world monitoring of gait: a "
            "multicentric observational study. BMJ Open 11."
        ),
    )

    def __init__(self, raw_dir: str | Path | None, reference: str = "indip", max_gap_s: float = 1.0) -> None:
        if reference not in REFERENCES:
            raise ConfigError(f"data.source.reference={reference}: expected one of {', '.join(REFERENCES)}.")
        self.files = find_files(raw_dir, _PATTERN, _LAYOUT)
        self.reference, self.in_samples = REFERENCES[reference]
        self.max_gap_s = max_gap_s

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read each trial of each participant. Trials without the sensor or with less than a second are skipped."""
        (cohort, number), file = unit.key, self.files[unit.key]
        for path, trial in _trials(_load(file)):
            yield from self._of_trial(cohort, number, path, trial, f"{file.where}, {'.'.join(path)}")

    def _of_trial(
        self, cohort: str, number: str, path: tuple[str, ...], trial: dict[str, Any], where: str
    ) -> Iterator[Recording]:
        sensor = _at(trial, "SU", "LowerBack")
        if sensor is None:
            log.warning("Left out %s: it has no sensor SU.LowerBack.", where)
            return
        signal, rate = _acceleration(sensor, where)
        strides = _strides(_at(trial, "Standards", self.reference), self.in_samples, where)
        try:
            _, stretches = gap_free(np.arange(len(signal)) / rate, signal, where, self.max_gap_s, rate)
        except DataError as error:
            log.warning("Left out %s", error)
            return
        participant, start_time = f"mobilised-{cohort}{number}", _start_time(sensor)
        ids = part_ids("-".join([participant, *path]), len(stretches))
        for name, (start_s, part) in zip(ids, stretches, strict=True):
            segments = within(strides, start_s, len(part) / rate)
            at = None if start_time is None else start_time + start_s
            yield Recording(name, participant, part, rate, segments, at, {"cohort": cohort})


def _load(file: RawFile) -> dict[str, Any]:
    """Load a file: structs as dicts, arrays of structs as lists of dicts, empty structs as empty arrays."""
    content = file.read()
    try:
        found = loadmat(io.BytesIO(content), simplify_cells=True, variable_names=["data"])  # type: ignore[arg-type]
    except Exception as error:  # SciPy can raise any error for a damaged file
        raise DataError(f"{file.where} cannot be read ({error}); download or copy it again.") from error
    data = found.get("data")
    if not isinstance(data, dict):
        raise DataError(f"{file.where} has no struct 'data'.")
    return data


def _trials(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Structs with recordings and their paths, such as TimeMeasure1, Test5, Trial1."""
    if "SU" in node or "Standards" in node:
        yield path, node
        return
    for name, child in node.items():
        if isinstance(child, dict):
            yield from _trials(child, (*path, name))


def _at(node: Any, *names: str) -> Any:
    """Value at a path of names; None if a struct is missing or empty."""
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _acceleration(sensor: dict[str, Any], where: str) -> tuple[np.ndarray, float]:
    """Signal ``(n, 3)`` in g, and sampling rate in Hz."""
    signal = _at(sensor, "Acc")
    if not (isinstance(signal, np.ndarray) and signal.ndim == 2 and signal.shape[1] == 3):
        raise DataError(f"{where}: SU.LowerBack.Acc is not an array of three columns.")
    return signal, _rate(_at(sensor, "Fs", "Acc"), f"{where}: SU.LowerBack.Fs.Acc")


def _rate(value: Any, where: str) -> float:
    rate = float(value) if isinstance(value, Real) else np.nan
    if not 0 < rate < np.inf:
        raise DataError(f"{where} is {value}, expected a sampling rate in Hz.")
    return rate


def _start_time(sensor: dict[str, Any]) -> float | None:
    stamps = np.ravel(sensor.get("Timestamp", ()))
    return float(stamps[0]) if len(stamps) and np.isfinite(stamps[0]) else None


def _strides(system: Any, in_samples: bool, where: str) -> list[Segment]:
    """Strides of all walking bouts that a system measured, in seconds from the start of the trial."""
    bouts = _at(system, _BOUTS)
    bouts = [bouts] if isinstance(bouts, dict) else bouts
    if not isinstance(bouts, list):  # an empty array, or the system is missing
        return []
    unit_s = 1 / _rate(_at(system, "Fs"), f"{where}: Fs of the reference") if in_samples else 1.0
    return [stride for bout in bouts for stride in _of_bout(bout, unit_s, where)]


def _of_bout(bout: dict[str, Any], unit_s: float, where: str) -> Iterator[Segment]:
    pairs = _numbers(bout, "Stride_InitialContacts", where)
    if len(pairs) % 2:
        raise DataError(f"{where}: Stride_InitialContacts are not the start and the end of each stride.")
    contacts = pairs.reshape(-1, 2) * unit_s
    duration, speed, double_support = (
        _of_strides(bout, name, len(contacts), where)
        for name in ("Stride_Duration", "Stride_Speed", "DoubleSupport_Duration")
    )
    _check_contacts(contacts, duration, where)
    columns = (column.tolist() for column in (contacts, duration, speed, double_support))
    for (start, end), seconds, velocity, support in zip(*columns, strict=True):
        # NaN fails every comparison. Wrong contacts give a negative double support.
        targets = {"stride_velocity": velocity} if velocity > 0 else {}
        if 0 < support < seconds:
            targets["double_support"] = support
        if targets and 0 <= start < end:
            yield Segment(start, end, targets=targets)


def _of_strides(bout: dict[str, Any], name: str, strides: int, where: str) -> np.ndarray:
    """Values ``(strides,)`` of a field; NaN if the system did not measure it (an empty array in the file)."""
    values = _numbers(bout, name, where)
    if len(values) not in (0, strides):
        raise DataError(f"{where}: {name} has {len(values)} values for {strides} strides.")
    return values if len(values) else np.full(strides, np.nan)


def _numbers(bout: dict[str, Any], name: str, where: str) -> np.ndarray:
    """All numbers of a field, row by row."""
    if name not in bout:
        raise DataError(f"{where}: a walking bout has no field {name!r}{nearest(name, bout)}.")
    return np.asarray(bout[name], dtype=float).ravel()


def _check_contacts(contacts: np.ndarray, duration: np.ndarray, where: str) -> None:
    """Raise DataError if the times between contacts ``(n, 2)`` in seconds do not match the stride durations."""
    ratio = np.diff(contacts, axis=1)[:, 0] / duration
    ratio = ratio[np.isfinite(ratio)]
    if len(ratio) and not 1 / _UNIT_FACTOR < np.median(ratio) < _UNIT_FACTOR:
        raise DataError(
            f"{where}: Stride_InitialContacts are {np.median(ratio):.3g} times Stride_Duration apart; expected samples "
            "of INDIP and seconds of Stereophoto."
        )
