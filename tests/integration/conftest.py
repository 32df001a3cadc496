from __future__ import annotations

import shutil

import pytest

from relcon_lightning.data import CohortStore
from tests.conftest import INFO, recordings
from tests.integration.commands import FEW_STEPS, TINY, fork


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A working folder with a cohort at the default path, and a distance run and a RelCon run on it."""
    path = tmp_path_factory.mktemp("trained")
    CohortStore.write(path / "data" / "watch", recordings({f"p{i}": [2000] * 4 for i in range(10)}), INFO)
    fork(path, "relcon-pretrain", "model=distance", *TINY)
    fork(path, "relcon-pretrain", "model.distance_checkpoint=runs/watch/distance/seed0", "compile=false", *FEW_STEPS)
    return path


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """A copy of the working folder for each test file."""
    return shutil.copytree(trained, tmp_path_factory.mktemp("work"), dirs_exist_ok=True)
