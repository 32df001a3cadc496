"""Several cohort stores as one cohort, so that a method can be pre-trained on all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from relcon_lightning.data.recording import RECORDING_COLUMNS, SEGMENT_COLUMNS, CohortInfo, Recording, Segment
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.data.store.verify import Verify
from relcon_lightning.errors import ConfigError, DataError

MOVEMENT_G = 0.03  # standard deviation within a second; a wrist at rest has about 0.005


class MergedStores:
    """The recordings of several stores, one store after the other.

    Ids are not changed, so a participant or recording may be in only one store. A person who is in two stores with two
    ids counts as two people.

    Args:
        stores: Folders or addresses.
        name: Name of the new cohort.
        verify: See :meth:`~relcon_lightning.data.CohortStore.open`.

    Raises:
        ConfigError: Fewer than two stores.
        DataError: A store cannot be opened, or two differ in their rates or share a participant or a recording.
    """

    def __init__(self, stores: Sequence[str | Path], name: str, verify: Verify = "once") -> None:
        if len(stores) < 2:
            raise ConfigError("data.stores must name two or more stores, e.g. data.stores=[data/wisdm,data/dsa].")
        self.stores = [CohortStore.open(path, verify) for path in stores]
        first = self.stores[0]
        for store in self.stores[1:]:
            store.check_rate(first.sampling_rate)
        for table, column in (("participants", "participant_id"), ("recordings", "recording_id")):
            _refuse_shared(self.stores, table, column)
        infos = [store.info for store in self.stores]
        self.info = CohortInfo(
            name=name,
            sampling_rate=first.sampling_rate,
            position=_joined(info.position for info in infos),
            source=_joined(f"{info.name}: {info.source}" for info in infos),
            license=_joined(f"{info.name}: {info.license}" for info in infos),
            citation=" ".join(dict.fromkeys(info.citation for info in infos)),
        )

    def recordings(self) -> Iterator[Recording]:
        """All recordings with their segments and attributes, and two new attributes.

        ``cohort`` is the name of the store, and ``active_h`` the person's hours of movement, see :func:`active_hours`.
        """
        for store in self.stores:
            active = active_hours(store)
            segments = dict(list(store.segments.groupby("recording_id")))
            for row in store.recordings.to_dict("records"):
                own = segments.get(row["recording_id"])
                attributes = {str(k): v for k, v in row.items() if k not in RECORDING_COLUMNS and pd.notna(v)}
                yield Recording(
                    recording_id=row["recording_id"],
                    participant_id=row["participant_id"],
                    signal=store.read(row["recording_id"], 0, row["n_samples"]),
                    sampling_rate=store.sampling_rate,
                    segments=() if own is None else tuple(_segment(dict(s)) for s in own.to_dict("records")),
                    start_time=row["start_time"] if pd.notna(row["start_time"]) else None,
                    attributes=attributes | {"cohort": store.info.name, "active_h": active[row["participant_id"]]},
                )


def active_hours(store: CohortStore) -> dict[str, float]:
    """Hours per participant in which the arm moves: seconds whose norm deviates by more than :data:`MOVEMENT_G`."""
    second = round(store.sampling_rate)
    hours = dict.fromkeys(store.participants["participant_id"], 0.0)
    for row in store.recordings.to_dict("records"):
        norm = np.linalg.norm(store.read(row["recording_id"], 0, row["n_samples"]), axis=1)
        whole = norm[: len(norm) // second * second].reshape(-1, second)
        hours[row["participant_id"]] += float((whole.std(axis=1) > MOVEMENT_G).sum()) / 3600
    return hours


def _refuse_shared(stores: Sequence[CohortStore], table: str, column: str) -> None:
    owner: dict[str, CohortStore] = {}
    for store in stores:
        for name in getattr(store, table)[column]:
            if name in owner:
                raise DataError(
                    f"{column.removesuffix('_id')} {name} is in both {owner[name].path} and {store.path}: leave one of "
                    "the stores out, or prepare one again with other ids."
                )
            owner[name] = store


def _segment(row: Mapping[Hashable, object]) -> Segment:
    label = row.get("label")
    targets = {str(k): float(v) for k, v in row.items() if k not in SEGMENT_COLUMNS and isinstance(v, float) and v == v}
    start, end = row["start_s"], row["end_s"]
    assert isinstance(start, float)
    assert isinstance(end, float)
    return Segment(start, end, label if isinstance(label, str) else None, targets)


def _joined(parts: Iterator[str]) -> str:
    return "; ".join(dict.fromkeys(parts))
