"""What a pass over a table finds: damaged rows, missing and implausible samples, and the checks of these findings."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np

from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.stream import Block
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

MOST_G, ABSURD = 400.0, 0.01  # values above are no measurements; maximum fraction that counts as missing
SHARED = 0.01  # maximum fraction of repeated time stamps whose samples are dropped
_LOOKED_AT = 1024  # approximate number of samples per block for the check of the unit
_LATE = 0.05  # maximum fraction of late samples
_DAMAGED, FEW_DAMAGED = 0.01, 10  # maximum fraction and number of damaged rows that are skipped
_SHIFT_MINUTES = 5  # minimum number of minutes with twice the samples that shows a repeated hour
_LATEST_CHANGE = 3  # latest hour of the day in which clocks are set back
_COUNTS = (1 / 8, 1 / 16, 1 / 64, 1 / 128, 1 / 256, 1 / 341, 1 / 512, 1 / 1024, 1 / 2048, 1 / 4096, 1 / 8192, 1 / 16384)


@dataclass
class Damage:
    """Counts of damaged rows: with a wrong number of cells, or with text instead of numbers."""

    rows: int = 0
    first: str = ""
    cut: list[int] = field(default_factory=list)  # numbers of rows with a wrong number of cells, counted from 1
    read: int = 0  # number of rows with the right number of cells
    dropped: int = 0  # number of rows that are not among the samples

    def add(self, what: str, count: int = 1) -> None:
        """Count damaged rows; ``what`` describes the first of them."""
        self.first = self.first or what
        self.rows += count

    @property
    def within(self) -> bool:
        """True if a row before the end has a wrong number of cells."""
        return bool(self.cut) and self.cut[0] != self.read + 1


@dataclass
class Survey:
    """Results of a pass over the rows of a file."""

    damage: Damage = field(default_factory=Damage)
    rows: int = 0
    missing: int = 0
    late: int = 0
    absurd: int = 0
    shared: int = 0  # samples with the stamp of the sample before
    repeated: int = 0  # among them, those with its values
    alike: int = 0  # samples with the values of the sample before, and another stamp
    most: int = 0
    fullest: Block | None = None
    some: list[np.ndarray] = field(default_factory=list)
    start_time: float | None = None
    end_s: float = 0.0
    minutes: dict[int, int] = field(default_factory=dict)

    def put(self, block: Block) -> None:
        """Count the samples of a block."""
        same, alike = like_the_last(block)
        self.shared += int(same.sum())
        self.repeated += int((same & alike).sum())
        self.alike += int((alike & ~same).sum())
        present = np.isfinite(block.signal).all(axis=1)
        count = int(present.sum())
        if count > self.most:
            self.fullest, self.most = block, count
        if count:
            self.some.append(block.signal[np.flatnonzero(present)[:: max(1, count // _LOOKED_AT)]])  # a copy
            self.end_s = max(self.end_s, float(block.times[present][-1]))
        if len(self.minutes) < 10**6:
            with np.errstate(invalid="ignore", over="ignore"):
                minutes = ((self.start_time or 0.0) + block.times) // 60
            for minute, samples in zip(*np.unique(minutes, return_counts=True), strict=True):
                self.minutes[minute] = self.minutes.get(minute, 0) + int(samples)

    @property
    def has_copies(self) -> bool:
        """True if samples share a time stamp because rows are repeated, and not because they came in one packet.

        A device at rest also repeats its values, but then at different stamps too.
        """
        others = self.rows - self.shared
        return self.repeated > max(SHARED * self.rows, 0.9 * self.shared) and self.alike < 0.5 * others

    def check_damage(self, where: str, lenient: bool, stamped: bool) -> None:
        """Refuse a file with many damaged rows; report a few.

        Args:
            where: Name of the file in messages.
            lenient: True: skip any number of damaged rows.
            stamped: True if samples have time stamps. Others are counted, so that none may be missing.

        Raises:
            DataError: Too many rows are damaged.
        """
        damage, rows = self.damage, self.rows + self.damage.dropped
        if not damage.rows:
            return
        if not lenient and damage.rows > max(FEW_DAMAGED, _DAMAGED * rows):
            raise DataError(
                f"{where}: {damage.rows} of {rows} rows are damaged, the first: {damage.first}. Skip them "
                "with data.source.lenient=true."
            )
        if not stamped and damage.within and not lenient:
            raise DataError(
                f"{where}: a row is damaged, {damage.first}. Samples without time stamps are counted, so the "
                "samples after it would be too early; skip it anyway with data.source.lenient=true."
            )
        log.warning("%s: skipped %d damaged rows of %d, the first: %s.", where, damage.rows, rows, damage.first)

    def check_unit(self, where: str, read_as: str, scaled: bool) -> None:
        """Refuse a file whose samples do not look like accelerations in g; the message suggests a unit.

        Args:
            where: Name of the file in messages.
            read_as: Settings with which it was read.
            scaled: True if a unit other than g or a scale is set already, so that none is suggested.

        Raises:
            DataError: The unit is another one.
        """
        some = np.concatenate(self.some)
        try:
            check_unit(some, f"{where}, read with {read_as}")
        except DataError as error:
            raise DataError(f"{error}{'' if scaled else _unit_hint(some)}") from error

    def check_range(self, where: str) -> None:
        """Refuse a file with many values that no sensor measures; a few are missing samples.

        Raises:
            DataError: Too many samples are out of range.
        """
        if not self.absurd:
            return
        found = f"{where}: {self.absurd} of {self.rows} samples have values above {MOST_G:g} g"
        if self.absurd > ABSURD * self.rows:
            raise DataError(f"{found}, which no wearable measures. Is the file damaged, or are these fill values?")
        log.warning("%s: they are treated as missing.", found)

    def check_order(self, where: str) -> None:
        """Refuse a file with many decreasing time stamps.

        Raises:
            DataError: Too many samples are late.
        """
        if self.late > max(_LATE * self.rows, 1):
            raise DataError(f"{where}: {self.late} of {self.rows} samples have decreasing time stamps. Sort the rows.")

    def check_minutes(self, where: str) -> None:
        """Refuse sorted local time in which a repeated hour was merged into one.

        Raises:
            DataError: One hour has twice as many samples per minute as the others.
        """
        if len(self.minutes) < 2 * _SHIFT_MINUTES:
            return
        minutes = np.array(sorted(self.minutes))
        counts = np.array([self.minutes[minute] for minute in minutes])
        low = float(np.quantile(counts, 0.25))
        double = minutes[(counts > 1.8 * low) & (counts < 2.2 * low)]
        hours = np.unique(double // 60)
        if len(double) < _SHIFT_MINUTES or len(hours) > 1 or hours[0] % 24 > _LATEST_CHANGE:
            return
        of_hour = minutes[minutes // 60 == hours[0]]
        if len(of_hour) - len(double) > 2:
            return
        at = np.datetime64(int(hours[0] * 3600), "s")
        raise DataError(
            f"{where}: the hour of {at} has twice as many samples as the others: two hours of local time, before "
            "and after a clock was set back, lie in one. Export the file in UTC, or in the order of the recording."
        )


def like_the_last(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Samples ``(n,)`` with the time stamp of the sample before, and samples with its values."""
    same = np.diff(block.times, prepend=np.nan) == 0
    alike = (np.diff(block.signal, axis=0, prepend=np.nan) == 0).all(axis=1)
    return same, alike


def _unit_hint(signal: np.ndarray) -> str:
    """Suggest a unit, or a scale for counts, that makes the norm of a signal plausible; empty if there is none."""
    norm = float(np.median(np.linalg.norm(signal, axis=1)))
    if 5 < norm < 30:
        return " If so, give data.source.unit=m/s2."
    if 800 < norm < 1350:  # 1 g, and some movement
        return " If the cells are in mg, give data.source.unit=mg; if they are counts, data.source.scale=1/1024."
    near = [scale for scale in _COUNTS if 0.8 < norm * scale < 1.3]
    if norm < 6 or 8.5 < norm < 11.5 or not near:
        return ""
    best = min(near, key=lambda scale: abs(np.log(norm * scale)))
    return f" If the cells are counts, give the g per count: data.source.scale=1/{round(1 / best)}."
