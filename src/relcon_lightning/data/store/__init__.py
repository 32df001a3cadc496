"""The cohort store: tables and signals of a cohort in a folder or a bucket."""

from relcon_lightning.data.store.cohort import CohortStore

__all__ = ["CohortStore"]
