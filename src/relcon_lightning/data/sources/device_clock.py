"""The clocks of devices, that show the local time of the computer that set them, in UTC."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, tzinfo

from relcon_lightning.data.sources.table_layout import zone

log = logging.getLogger(__name__)


class DeviceClock:
    """From the time that a device shows to UTC.

    The clock of a device is set when the recording is configured, and goes on evenly: it does not follow a change to
    or from summer time. So one offset holds for all of a file. It is that of ``time_zone`` at the first sample; without
    ``time_zone``, the one that the file states, and else none.

    Args:
        time_zone: See :func:`~relcon_lightning.data.sources.table_layout.zone`; None for that of each file.

    Raises:
        ConfigError: There is no such zone.
    """

    def __init__(self, time_zone: str | None = None) -> None:
        self.name, self.zone = time_zone, None if time_zone is None else zone(str(time_zone))
        self._said: set[object] = set()

    def offset_s(self, first_s: float, stated_s: float | None, where: str) -> float:
        """Seconds by which the clock is ahead of UTC.

        Args:
            first_s: Of the first sample, in seconds since 1970 by the clock.
            stated_s: Offset that the file states, if any.
            where: The file, for messages.
        """
        if self.zone is None:
            if stated_s is None:
                self._say_once(
                    logging.WARNING,
                    "unknown",
                    "%s: the clock of the device has no time zone and is taken for UTC. Tell it by "
                    "data.source.time_zone=Europe/London or =+01:00.",
                    where,
                )
                return 0.0
            self._say_once(
                logging.INFO,
                stated_s,
                "%s: the file says that its clock is at UTC%s; times are converted to UTC.",
                where,
                _sign(stated_s),
            )
            return stated_s
        offset = self._offset_of_zone(first_s, where)
        if stated_s is not None and stated_s != offset:
            self._say_once(
                logging.WARNING,
                (stated_s, offset),
                "%s: the file says that its clock is at UTC%s; data.source.time_zone=%s is taken instead (UTC%s).",
                where,
                _sign(stated_s),
                self.name,
                _sign(offset),
            )
        return offset

    def name_change(self, first_s: float, last_s: float, where: str) -> None:
        """Say if the zone's offset changed between two times of the clock in seconds: the device did not follow."""
        if self.zone is None:
            return
        before, after = (_utc_offset(_shown(at), self.zone) for at in (first_s, last_s))
        if before != after:
            log.warning(
                "%s: the clocks of %s changed from UTC%s to UTC%s during the recording. A device does not follow: "
                "UTC%s is taken for all of it.",
                where,
                self.name,
                _sign(before),
                _sign(after),
                _sign(before),
            )

    def _offset_of_zone(self, first_s: float, where: str) -> float:
        assert self.zone is not None
        shown = _shown(first_s)
        early, late = (_utc_offset(shown.replace(fold=fold), self.zone) for fold in (0, 1))
        if early != late:
            how = "comes twice" if early > late else "does not exist"
            log.warning(
                "%s begins at %s, an hour that %s in %s: the clocks change then. UTC%s, from before the change, is "
                "taken.",
                where,
                f"{shown:%Y-%m-%d %H:%M:%S}",
                how,
                self.name,
                _sign(early),
            )
        return early

    def _say_once(self, level: int, what: object, message: str, *values: object) -> None:
        if what not in self._said:
            self._said.add(what)
            log.log(level, message, *values)


def _shown(seconds: float) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=seconds)


def _utc_offset(shown: datetime, zone: tzinfo) -> float:
    offset = shown.replace(tzinfo=zone).utcoffset()
    assert offset is not None
    return offset.total_seconds()


def _sign(offset_s: float) -> str:
    minutes = round(abs(offset_s) / 60)
    return f"{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
