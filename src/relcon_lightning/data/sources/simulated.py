"""A simulated cohort: wrist accelerometry with known ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

import numpy as np

from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.simulation.activities import MOTIFS, WALKING, WORKOUTS
from relcon_lightning.data.simulation.arm import move
from relcon_lightning.data.simulation.gait import gait_at, walking
from relcon_lightning.data.simulation.motif import Motif, factor
from relcon_lightning.data.simulation.person import Person
from relcon_lightning.data.simulation.rhythm import Rhythm
from relcon_lightning.data.simulation.watch import measure
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import ConfigError

RATE = 100.0  # Hz
PACES = (1.0, 0.75, 1.25)  # factors of the preferred speed, in turn: preferred, slow, fast
LAP_M = 12.0  # length of the course in the paper's gait study
_SHORTEST_MINUTES = 0.1


class SimulatedCohort(InUnits):
    """Each participant does all workouts once, then walks laps; 100 Hz, wrist, in g.

    A workout has one segment, labelled with the activity. A lap has no label; its targets are the means over its
    strides: ``stride_velocity`` (m/s), ``double_support`` (s per stride), ``stride_time`` (s), ``stride_length`` (m).

    Each participant, workout and lap is drawn from the seed and its own number. Participant k therefore does not depend
    on the number of participants, nor workouts on the number of laps.

    Args:
        participants: Number of participants.
        minutes: Duration of each workout in minutes.
        laps: Number of laps per participant.
        seed: Seed of the cohort.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(self, participants: int = 100, minutes: float = 2.0, laps: int = 6, seed: int = 0) -> None:
        lowest = {"participants": (participants, 1), "minutes": (minutes, _SHORTEST_MINUTES), "laps": (laps, 0)}
        for name, (value, least) in {**lowest, "seed": (seed, 0)}.items():
            if not value >= least:
                raise ConfigError(f"data.source.{name}={value}: expected {least} or more.")
        self.participants, self.minutes, self.laps, self.seed = participants, minutes, laps, seed
        self.info = CohortInfo(
            name="simulated",
            sampling_rate=RATE,
            position="wrist",
            source=(
                f"SIMULATED by relcon_lightning.data.sources.simulated: participants={participants}, "
                f"minutes={minutes:g}, laps={laps}, seed={seed}"
            ),
            license="Apache-2.0",
            citation=(
                f"SIMULATED wrist accelerometry, no recordings of people ({participants} participants, {minutes:g} min "
                f"a workout, {laps} laps, seed {seed}): results on it say nothing about people."
            ),
        )

    def units(self) -> list[Unit]:
        """One unit per participant."""
        return [Unit(f"simulated-{number:04d}", number) for number in range(self.participants)]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Workouts of a participant, then the laps."""
        number = unit.key
        person = Person.draw(self._rng(number))
        for i, workout in enumerate(WORKOUTS):
            yield self._workout(number, person, workout, self._rng(number, 0, i))
        for i in range(self.laps):
            yield self._lap(number, person, i, self._rng(number, 1, i))

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _workout(self, number: int, person: Person, workout: str, rng: np.random.Generator) -> Recording:
        samples = round(self.minutes * 60 * RATE)
        motif = _stroll(person) if workout == WALKING else MOTIFS[workout].personal(rng)
        cycle_s = 1 / motif.cycles_hz[0]
        count = ceil(1.05 * samples / RATE / cycle_s) + 3  # enough even if the drawn cycles are short
        rhythm = Rhythm.draw(rng, cycle_s, count, motif.irregularity, person.fatigue)
        return self._recorded(rng, number, person, workout, motif, rhythm, Segment(0.0, samples / RATE, workout))

    def _lap(self, number: int, person: Person, lap: int, rng: np.random.Generator) -> Recording:
        gait = gait_at(person, person.speed * PACES[lap % len(PACES)] * factor(rng, 0.04))
        motif = walking(person, gait)
        count = ceil(LAP_M / gait.stride_length_m)
        rhythm = Rhythm.draw(rng, gait.stride_time_s, count, motif.irregularity)
        seconds = float(rhythm.starts_s[-1])
        stride_time, stride_length = seconds / count, gait.stride_length_m * float(rhythm.vigour.mean())
        targets = {
            "stride_velocity": stride_length / stride_time,
            "double_support": gait.double_support * stride_time,
            "stride_time": stride_time,
            "stride_length": stride_length,
        }
        segment = Segment(0.0, int(seconds * RATE) / RATE, targets=targets)
        return self._recorded(rng, number, person, f"lap{lap:02d}", motif, rhythm, segment)

    def _recorded(
        self,
        rng: np.random.Generator,
        number: int,
        person: Person,
        name: str,
        motif: Motif,
        rhythm: Rhythm,
        segment: Segment,
    ) -> Recording:
        participant = f"simulated-{number:04d}"
        felt = move(rng, motif, rhythm, person.arm_m, round(segment.end_s * RATE), RATE).felt()
        return Recording(
            recording_id=f"{participant}-{name}",
            participant_id=participant,
            signal=measure(rng, person, felt, RATE),
            sampling_rate=RATE,
            segments=(segment,),
            attributes={"height_m": person.height_m, "wrist": person.wrist},
        )


def _stroll(person: Person) -> Motif:
    return replace(walking(person, gait_at(person, person.speed)), bout_s=60.0, rest_s=5.0)
