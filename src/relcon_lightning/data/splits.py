"""Split participants by their ids, never by row numbers (paper section 4).

Each participant is in exactly one part, and the test set contains nobody on whom a model was pre-trained.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from relcon_lightning.data.pseudonyms import unseen_participants
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

FEWEST = 3  # minimum participants of an evaluation: for fitting, validation and test


@dataclass(frozen=True)
class Split:
    """Participant ids of each part, sorted.

    Raises:
        DataError: A participant is in two parts, or training or test is empty.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            object.__setattr__(self, part, tuple(sorted(getattr(self, part))))
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            shared = set(getattr(self, first)) & set(getattr(self, second))
            if shared:
                raise DataError(
                    f"Participants {sorted(shared)} are in both {first} and {second}; each may be in one part only."
                )
        if not self.train or not self.test:
            raise DataError(
                f"A split needs participants for training and for the test; this one has {self.sizes()}. Change "
                "data.ratios, or task.folds of an evaluation."
            )

    def sizes(self) -> dict[str, int]:
        """Number of participants in each part."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    def save(self, path: str | Path) -> None:
        """Write the ids as JSON."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Split:
        """Read a split that :meth:`save` wrote.

        Raises:
            ConfigError: There is no such file, or it does not contain a split.
        """
        try:
            return cls(**{part: tuple(ids) for part, ids in json.loads(Path(path).read_text("utf-8")).items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path} is not a split of participants ({error}): give the split.json of a run."
            ) from error


def ratio_split(
    participants: Collection[str],
    ratios: Sequence[float] = (10, 3, 3),
    seed: int = 0,
    strata: Mapping[str, str] | None = None,
) -> Split:
    """Split participants at random in the ratio train : validation : test.

    Counts are rounded by largest remainder, and each part with a ratio above 0 gets at least one participant. The
    result depends on the ids and the seed, not on the order of the ids.

    Args:
        participants: Ids of the participants.
        ratios: Relative sizes of the parts.
        seed: Seed of the draw.
        strata: Group of each participant, such as the sex; each part gets about the same proportion of each
            group.

    Raises:
        ConfigError: A ratio is negative, or there are not three.
        DataError: There are fewer participants than parts.
    """
    if len(ratios) != 3 or min(ratios) < 0 or sum(ratios) == 0:
        raise ConfigError(
            f"data.ratios={list(ratios)}: expected three numbers, none negative, for train, validation, test."
        )
    ids = sorted(set(participants))
    parts = np.count_nonzero(ratios)
    if len(ids) < parts:
        raise DataError(
            f"{counted(len(ids), 'participant')} cannot be divided into {parts} parts (train, validation, test): each "
            "needs one."
        )
    share = np.asarray(ratios, dtype=float) / sum(ratios) * len(ids)
    counts = np.maximum(np.floor(share).astype(int), share > 0)
    while counts.sum() != len(ids):
        step = 1 if counts.sum() < len(ids) else -1
        movable = np.where((counts > 1) | (step > 0), step * (share - counts), -np.inf)
        counts[np.where(share > 0, movable, -np.inf).argmax()] += step
    shuffled = _shuffled(ids, seed, strata)
    first, second = counts[0], counts[0] + counts[1]
    return Split(tuple(shuffled[:first]), tuple(shuffled[first:second]), tuple(shuffled[second:]))


def _shuffled(ids: Sequence[str], seed: int, strata: Mapping[str, str] | None) -> list[str]:
    """Participants in random order; with strata, each part of the sequence has about the same proportions of groups."""
    rng = np.random.default_rng(seed)
    order = [ids[i] for i in rng.permutation(len(ids))]
    if strata is None:
        return order
    groups: dict[str, list[str]] = {}
    for name in order:
        groups.setdefault(strata[name], []).append(name)
    place = {name: (i + rng.random()) / len(group) for group in groups.values() for i, name in enumerate(group)}
    return sorted(order, key=place.__getitem__)


def few_to_evaluate(split: Split) -> str:
    """Message if a split leaves too few people for an evaluation, with advice; empty if there are enough."""
    people, left = sum(split.sizes().values()), len(split.test)
    if left >= FEWEST:
        return ""
    told = (
        f"Only {left} of {people} participants are left to evaluate an encoder that is trained on this cohort; "
        f"relcon-eval needs {FEWEST} whom it was not trained on."
    )
    validation = 1 if people < FEWEST + 4 else 2  # the online probe is fitted on one and tested on another
    if people >= FEWEST + 2:
        return f"{told} data.ratios=[{people - FEWEST - validation},{validation},{FEWEST}] leaves {FEWEST}."
    return (
        f"{told} Evaluate an encoder that was trained on other people, such as checkpoint=open-wrist-small (stores at "
        "data.sampling_rate=50)."
    )


def checked_seeds(seeds: object) -> list[int]:
    """Seeds of an evaluation as a list.

    Args:
        seeds: Seeds.

    Raises:
        ConfigError: They are not a list of one or more different integers, 0 or larger.
    """
    found = list(seeds) if isinstance(seeds, Sequence) and not isinstance(seeds, str) else []
    whole = all(type(seed) is int and 0 <= seed < 2**32 for seed in found)
    if not found or not whole or len(set(found)) < len(found):
        raise ConfigError(f"seeds={seeds}: expected different whole numbers from 0 to 2^32 - 1, such as [0,1,2].")
    return found


def k_fold(
    participants: Collection[str], k: int, seed: int = 0, strata: Mapping[str, str] | None = None
) -> Iterator[Split]:
    """Make k splits. Each participant is tested once; the test participants of the next fold are the validation set.

    Args:
        participants: Ids of the participants.
        k: Number of splits.
        seed: Seed of the draw.
        strata: Group of each participant, see :func:`ratio_split`.

    Raises:
        ConfigError: k is not a whole number of 3 or more, or there are fewer than 3 participants.
    """
    ids = sorted(set(participants))
    if len(ids) < FEWEST:
        raise ConfigError(
            f"{len(ids)} participants: at least {FEWEST} are needed, for fitting, validation and test. An encoder that "
            "was trained on other people can be evaluated on all participants, e.g. checkpoint=open-wrist-small."
        )
    if not isinstance(k, int) or k < FEWEST:
        raise ConfigError(
            f"k={k} folds of {len(ids)} participants: set task.folds.k to a whole number, {FEWEST} or more."
        )
    if k > len(ids):
        log.info("Using %d folds instead of k=%d: one per participant.", len(ids), k)
        k = len(ids)
    folds = np.array_split(np.array(_shuffled(ids, seed, strata), dtype=object), k)
    for i in range(k):
        rest = np.concatenate([fold for j, fold in enumerate(folds) if j not in (i, (i + 1) % k)])
        yield Split(*(tuple(part) for part in (rest, folds[(i + 1) % k], folds[i])))


def leave_one_out(
    participants: Collection[str], seed: int = 0, strata: Mapping[str, str] | None = None
) -> Iterator[Split]:
    """Make one split per participant, who is the test set; see :func:`k_fold`."""
    return k_fold(participants, len(set(participants)), seed, strata)


def refuse_leakage(participants: Collection[str], hashes: Collection[str], salt: str) -> None:
    """Refuse an evaluation with participants on whom a model was trained.

    This includes the people on whom a probe is fitted. An encoder fits its training participants better than others, so
    a probe fitted on them would see another distribution than in the test.

    Raises:
        DataError: There are such participants. The message gives their number and says what to do.
    """
    seen = sorted(set(participants) - set(unseen_participants(participants, hashes, salt)))
    if seen:
        raise DataError(
            f"{len(seen)} of {len(participants)} participants were used to pre-train this checkpoint, e.g. {seen[0]}: "
            "the result would be invalid. Evaluate on other people; task.participants=null uses all others."
        )
