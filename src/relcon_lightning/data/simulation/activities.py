"""Workouts: motifs of the activities that the paper classifies (Table 2).

The text of the paper names eleven: climbing, indoor and outdoor cycling, elliptical, kickboxing, rowing, indoor and
outdoor running, stair climbing, swimming, yoga. Walking, strength training and dance are added, to make fourteen. Tempi
are typical ones (running 160 to 175 steps, cycling 75 to 90 turns, rowing 24 to 30 strokes per minute). The other
numbers are chosen so that accelerations at the wrist have a plausible size. Nothing is fitted to recordings.
"""

from __future__ import annotations

from dataclasses import replace

from relcon_lightning.data.simulation.motif import Harmonic, Impact, Motif

WALKING = "walking"  # not in the table: it follows from a person's gait

_RUNNING = Motif(
    cycles_hz=(1.32, 1.47),
    harmonics=(
        Harmonic("up", 2, 0.028),
        Harmonic("up", 1, 0.003, 0.1),
        Harmonic("forward", 2, 0.010, 0.2),
        Harmonic("left", 1, 0.010, 0.25),
        Harmonic("pitch", 1, 18, 0.25),
        Harmonic("pitch", 2, 4, 0.1),
        Harmonic("yaw", 1, 7, 0.3),
        Harmonic("roll", 1, 6, 0.4),
    ),
    pose={"pitch": 20, "yaw": 10, "bend": 85, "roll": 10},
    impacts=(Impact(0.0, 1.4), Impact(0.5, 1.4)),
    irregularity=0.04,
    bout_s=90,
    rest_s=6,
    hold_s=8,
    wander=6,
)

_CYCLING = Motif(
    cycles_hz=(1.2, 1.5),
    harmonics=(
        Harmonic("up", 2, 0.002),
        Harmonic("left", 1, 0.008, 0.1),
        Harmonic("pitch", 1, 1.2, 0.3),
        Harmonic("roll", 1, 1.5, 0.2),
    ),
    pose={"pitch": 50, "yaw": 8, "bend": 15, "roll": 70},
    irregularity=0.02,
    texture_g=0.02,
    bout_s=60,
    rest_s=6,
    hold_s=15,
    wander=2,
)

_STAIRS = Motif(
    cycles_hz=(0.72, 0.95),
    harmonics=(
        Harmonic("up", 2, 0.028),
        Harmonic("up", 1, 0.006, 0.1),
        Harmonic("forward", 2, 0.010, 0.2),
        Harmonic("left", 1, 0.020, 0.25),
        Harmonic("pitch", 1, 11, 0.25),
        Harmonic("roll", 1, 5, 0.4),
    ),
    pose={"pitch": 12, "bend": 35},
    impacts=(Impact(0.0, 0.5), Impact(0.5, 0.5)),
    irregularity=0.035,
    bout_s=40,
    rest_s=5,
    hold_s=8,
    wander=5,
)

_CLIMBING = Motif(
    cycles_hz=(0.2, 0.35),
    harmonics=(
        Harmonic("up", 1, 0.10),
        Harmonic("pitch", 1, 14, 0.2),
        Harmonic("reach", 1, 0.06, 0.3),
        Harmonic("roll", 2, 8, 0.1),
    ),
    pose={"pitch": 125, "bend": 40, "roll": 20},
    irregularity=0.12,
    texture_g=0.01,
    bout_s=25,
    rest_s=12,
    hold_s=3,
    wander=28,
)

_ELLIPTICAL = Motif(
    cycles_hz=(0.8, 1.05),
    harmonics=(
        Harmonic("up", 2, 0.020),
        Harmonic("forward", 1, 0.020, 0.25),
        Harmonic("pitch", 1, 13, 0.25),
        Harmonic("reach", 1, 0.08, 0.25),
        Harmonic("roll", 1, 3, 0.2),
    ),
    pose={"pitch": 50, "bend": 60, "roll": 40},
    irregularity=0.015,
    texture_g=0.015,
    bout_s=90,
    rest_s=5,
)

_ROWING = Motif(
    cycles_hz=(0.40, 0.50),
    harmonics=(
        Harmonic("forward", 1, 0.28),
        Harmonic("forward", 2, 0.05, 0.12),  # the drive is shorter than the recovery
        Harmonic("reach", 1, 0.16, 0.05),
        Harmonic("reach", 3, 0.02, 0.1),
        Harmonic("pitch", 1, 9, 0.2),
        Harmonic("up", 2, 0.015),
    ),
    pose={"pitch": 72, "bend": 50, "roll": 80},
    irregularity=0.03,
    texture_g=0.02,
    bout_s=60,
    rest_s=10,
)

_SWIMMING = Motif(
    cycles_hz=(0.45, 0.62),
    harmonics=(
        Harmonic("pitch", 2, 12, 0.1),
        Harmonic("yaw", 1, 15, 0.2),
        Harmonic("roll", 1, 40, 0.3),
        Harmonic("left", 1, 0.06),
        Harmonic("up", 1, 0.04, 0.25),
        Harmonic("forward", 2, 0.02),
    ),
    pose={"pitch": 90, "bend": 40},
    irregularity=0.03,
    texture_g=0.05,
    bout_s=35,
    rest_s=10,
    circles=True,
)

_KICKBOXING = Motif(
    cycles_hz=(0.8, 1.2),
    harmonics=(
        Harmonic("reach", 1, 0.10),
        Harmonic("reach", 2, 0.05, 0.2),
        Harmonic("reach", 3, 0.02, 0.1),
        Harmonic("forward", 1, 0.05, 0.1),
        Harmonic("yaw", 1, 18, 0.2),
        Harmonic("pitch", 1, 14, 0.1),
        Harmonic("up", 2, 0.025),
    ),
    pose={"pitch": 75, "bend": 80, "roll": 20},
    impacts=(Impact(0.2, 1.5),),
    irregularity=0.12,
    bout_s=12,
    rest_s=5,
    hold_s=2.5,
    wander=18,
)

_YOGA = Motif(
    cycles_hz=(0.2, 0.3),  # breathing
    harmonics=(Harmonic("up", 1, 0.006), Harmonic("pitch", 1, 1.5, 0.2)),
    pose={"pitch": 75, "bend": 15},
    irregularity=0.08,
    texture_g=0.008,
    hold_s=8,
    wander=50,
)

_STRENGTH = Motif(
    cycles_hz=(0.33, 0.5),  # repetitions
    harmonics=(
        Harmonic("pitch", 1, 28),
        Harmonic("pitch", 2, 5, 0.1),
        Harmonic("reach", 1, 0.10, 0.1),
        Harmonic("up", 1, 0.03, 0.2),
        Harmonic("roll", 1, 8, 0.3),
    ),
    pose={"pitch": 55, "bend": 60, "roll": 30},
    irregularity=0.07,
    texture_g=0.012,
    bout_s=22,
    rest_s=14,
    hold_s=25,
    wander=32,
)

_DANCE = Motif(
    cycles_hz=(0.9, 1.1),  # one cycle is two beats
    harmonics=(
        Harmonic("up", 2, 0.030),
        Harmonic("left", 1, 0.06),
        Harmonic("forward", 1, 0.03, 0.3),
        Harmonic("pitch", 1, 22, 0.2),
        Harmonic("yaw", 1, 20, 0.1),
        Harmonic("roll", 1, 22, 0.4),
        Harmonic("reach", 1, 0.07, 0.3),
    ),
    pose={"pitch": 60, "bend": 50},
    impacts=(Impact(0.0, 0.3), Impact(0.5, 0.3)),
    irregularity=0.03,
    bout_s=20,
    rest_s=3,
    hold_s=4,
    wander=30,
)

MOTIFS: dict[str, Motif] = {
    "indoor_running": replace(_RUNNING, irregularity=0.012, bout_s=150, wander=1.5),  # the belt sets the pace
    "outdoor_running": _RUNNING,
    "indoor_cycling": _CYCLING,
    "outdoor_cycling": replace(_CYCLING, irregularity=0.05, texture_g=0.10, bout_s=20, rest_s=7, hold_s=5, wander=5),
    "stair_climbing": _STAIRS,
    "climbing": _CLIMBING,
    "elliptical": _ELLIPTICAL,
    "rowing": _ROWING,
    "swimming": _SWIMMING,
    "kickboxing": _KICKBOXING,
    "yoga": _YOGA,
    "strength": _STRENGTH,
    "dance": _DANCE,
}
WORKOUTS = (WALKING, *MOTIFS)
