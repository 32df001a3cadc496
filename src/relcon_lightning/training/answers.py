"""Track which ranks of a run still answer, and which rank the others wait for."""

from __future__ import annotations


class Answers:
    """The last message of each rank, and the time since then in seconds. Ranks without any message are ignored."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._silent_s: dict[int, float] = {}
        self._still_s: dict[int, float] = {}

    def hear(self, rank: int, count: int) -> None:
        """Note a message.

        Args:
            rank: Rank that sent it.
            count: Number of parts of the training (batches, validations ...) that the rank has begun or ended.
        """
        if self._counts.get(rank) != count:
            self._still_s[rank] = 0.0
        self._counts[rank], self._silent_s[rank] = count, 0.0

    def wait(self, seconds: float) -> None:
        """Note that time has passed."""
        for since in (self._silent_s, self._still_s):
            for rank in since:
                since[rank] += seconds

    def silent(self, seconds: float) -> list[int]:
        """Ranks without a message for ``seconds``: their processes do not run."""
        return sorted(rank for rank, since in self._silent_s.items() if since >= seconds)

    def behind(self, seconds: float) -> list[int]:
        """Ranks that the others wait for, if no rank has moved for ``seconds``; empty if all are at the same place."""
        if min(self._still_s.values(), default=0.0) < seconds:
            return []
        furthest = max(self._counts.values())
        return sorted(rank for rank, count in self._counts.items() if count < furthest)
