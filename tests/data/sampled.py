"""Samplers of small cohorts."""

from __future__ import annotations

import pandas as pd
from hypothesis import strategies as st

from relcon_lightning.data.sampling import CandidateSampler

T = 50


def table(samples: dict[str, list[int]]) -> pd.DataFrame:
    rows = [(f"{p}-{i}", p, n) for p, lengths in samples.items() for i, n in enumerate(lengths)]
    return pd.DataFrame(rows, columns=["recording_id", "participant_id", "n_samples"])


def sampler(samples: dict[str, list[int]], **options: object) -> CandidateSampler:
    defaults = {"window": T, "n_candidates": 3, "batch_size": 8}
    return CandidateSampler(table(samples), list(samples), **{**defaults, **options})  # type: ignore[arg-type]


COHORTS = st.dictionaries(
    st.sampled_from([f"p{i}" for i in range(6)]),
    st.lists(st.integers(1, 400), min_size=1, max_size=5),
    min_size=1,
)


def enough(lengths: list[int], candidates: int) -> bool:
    """As many windows beside each other as are drawn, and a start left wherever the anchor lies."""
    long = [n for n in lengths if n >= T]
    starts = sum(n - T + 1 for n in long)
    return sum(n // T for n in long) >= candidates + 1 and (not candidates or starts >= 2 * T)
