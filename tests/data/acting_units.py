"""A source for tests of reading processes, which import this module; it therefore imports little."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator

import numpy as np

from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import DataError

INFO = CohortInfo("toy", 100.0, "wrist", "made by the tests", "none", "none")


class Units(InUnits):
    """Source whose units behave as their names say."""

    info = INFO

    def __init__(self, *names: str, parent: int = 0) -> None:
        self.names, self.parent = names, parent or os.getpid()

    def units(self) -> list[Unit]:
        return [Unit(f"{number}-{name}", name) for number, name in enumerate(self.names)]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        number = int(unit.name[0])
        rng = np.random.default_rng(number)
        signal_g = np.array([0, 0, 1.0]) + 0.1 * rng.standard_normal((150 + number, 3))
        yield Recording(f"{unit.name}-a", f"of-{unit.name}", signal_g, 50.0, (Segment(0.0, 1.0, "walk"),), 3.0)
        logging.getLogger("tests.units").warning("%s was seen", unit.name)
        if unit.key == "bad":
            raise DataError(f"{unit.name} is damaged")
        if unit.key == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if unit.key == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if unit.key == "slow":
            time.sleep(60)
        if unit.key == "lean":
            assert not {"torch", "lightning", "hydra"} & sys.modules.keys()
        if unit.key == "pid":
            assert os.getpid() != self.parent
        yield Recording(f"{unit.name}-b", f"of-{unit.name}", signal_g[:100], 100.0, (), None, {"side": "left"})
