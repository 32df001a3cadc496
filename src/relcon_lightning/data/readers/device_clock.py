"""Conversion of device clocks, which show local time, to UTC."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, tzinfo

from relcon_lightning.data.once import Once
from relcon_lightning.data.readers.table_layout import zone

log = logging.getLogger(__name__)


class DeviceClock:
    """Offset of device clocks from UTC.

    A device clock is set when the recording is configured. It does not follow changes to or from daylight saving time,
    so one offset is used for a whole file: the offset of ``time_zone`` at the first sample. Without ``time_zone`` it is
    the offset that the file states, and zero if it states none.

    Args:
        time_zone: Name or offset, see :func:`~relcon_lightning.data.readers.table_layout.zone`; None: the offset
            that each file states.

    Raises:
        ConfigError: Unknown time zone.
    """

    def __init__(self, time_zone: str | None = None) -> None:
        self.name, self.zone = time_zone, None if time_zone is None else zone(str(time_zone))
        self._once = Once()

    def offset_s(self, first_s: float, stated_s: float | None, where: str) -> float:
        """Offset of the clock from UTC in seconds, positive east of Greenwich.

        Args:
            first_s: Time of the first sample by the device clock, in seconds since 1970.
            stated_s: Offset that the file states in seconds, if any.
            where: Name of the file, for messages.
        """
        if self.zone is None:
            if stated_s is None:
                self._say(
                    logging.WARNING,
                    "unknown",
                    "%s: the device clock has no time zone and is assumed to be UTC. Set its zone with "
                    "data.source.time_zone=Europe/London or =+01:00.",
                    where,
                )
                return 0.0
            self._say(
                logging.INFO,
                stated_s,
                "%s: the device clock is at UTC%s according to the file; times are converted to UTC.",
                where,
                _sign(stated_s),
            )
            return stated_s
        offset = self._offset_of_zone(first_s, where)
        if stated_s is not None and stated_s != offset:
            self._say(
                logging.WARNING,
                (stated_s, offset),
                "%s: the device clock is at UTC%s according to the file; data.source.time_zone=%s (UTC%s) is used "
                "instead.",
                where,
                _sign(stated_s),
                self.name,
                _sign(offset),
            )
        return offset

    def name_change(self, first_s: float, last_s: float, where: str) -> None:
        """Warn if the offset of the zone changed during a recording, because the device clock did not follow.

        Args:
            first_s: Time of the first sample by the device clock, in seconds since 1970.
            last_s: Time of the last sample.
            where: Name of the file, for the message.
        """
        if self.zone is None:
            return
        before, after = (_utc_offset(_shown(at), self.zone) for at in (first_s, last_s))
        if before != after:
            log.warning(
                "%s: clocks in %s changed from UTC%s to UTC%s during the recording. A device clock does not follow, so "
                "UTC%s is used for the whole recording.",
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
            how = "occurs twice" if early > late else "does not exist"
            log.warning(
                "%s starts at %s, in an hour that %s in %s because clocks change. The offset before the change, UTC%s, "
                "is used.",
                where,
                f"{shown:%Y-%m-%d %H:%M:%S}",
                how,
                self.name,
                _sign(early),
            )
        return early

    def _say(self, level: int, what: object, message: str, *values: object) -> None:
        self._once.log(log, level, f"{self.name} {what}", message, *values)


def _shown(seconds: float) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=seconds)


def _utc_offset(shown: datetime, zone: tzinfo) -> float:
    offset = shown.replace(tzinfo=zone).utcoffset()
    assert offset is not None
    return offset.total_seconds()


def _sign(offset_s: float) -> str:
    minutes = round(abs(offset_s) / 60)
    return f"{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
