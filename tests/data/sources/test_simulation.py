"""The parts of the simulated cohort, one at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relcon_lightning.data.simulation.activities import MOTIFS
from relcon_lightning.data.simulation.arm import GRAVITY, move
from relcon_lightning.data.simulation.gait import Gait, gait_at, walking
from relcon_lightning.data.simulation.motif import Harmonic, Impact, Motif
from relcon_lightning.data.simulation.person import Person
from relcon_lightning.data.simulation.rhythm import Rhythm, effort, wander
from relcon_lightning.data.simulation.watch import measure
from relcon_lightning.data.sources.simulated import RATE

SEEDS = st.integers(0, 10_000)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def person(seed: int = 0) -> Person:
    return Person.draw(rng(seed))


def steady(cycle_s: float, seconds: float = 20.0) -> Rhythm:
    """Cycles that are all alike."""
    return Rhythm.draw(rng(), cycle_s, int(seconds / cycle_s) + 3, irregularity=0.0)


def felt(motif: Motif, seconds: float = 20.0, arm_m: float = 0.6) -> np.ndarray:
    samples = round(seconds * RATE)
    return move(rng(), motif, steady(1 / motif.cycles_hz[0], seconds), arm_m, samples, RATE).felt()


def norm(signal: np.ndarray) -> np.ndarray:
    return np.linalg.norm(signal, axis=1)


@given(st.floats(-180, 180), st.floats(-180, 180), st.floats(-180, 180), st.floats(0, 120))
def test_an_arm_at_rest_feels_one_g_straight_up(pitch: float, yaw: float, roll: float, bend: float):
    pose = {"pitch": pitch, "yaw": yaw, "roll": roll, "bend": bend}
    motion = move(rng(), Motif((1.0, 1.0), pose=pose), steady(1.0), 0.6, 100, RATE)
    np.testing.assert_allclose(motion.force, np.tile([0.0, 0.0, 1.0], (100, 1)), atol=1e-9)
    along = -np.cos(np.deg2rad(pitch + bend / 2))  # of the forearm: down when it hangs
    np.testing.assert_allclose(motion.felt()[:, 0], along, atol=1e-9)
    np.testing.assert_allclose(norm(motion.felt()), 1.0, atol=1e-9)


@given(st.floats(0.3, 1.5), st.floats(5, 50), st.floats(0.4, 0.7))
def test_a_swinging_arm_is_a_pendulum(hz: float, degrees: float, arm_m: float):
    motif = Motif((hz, hz), (Harmonic("pitch", 1, degrees),))
    t, omega = np.arange(2000) / RATE, 2 * np.pi * hz
    angle = np.deg2rad(degrees) * np.sin(omega * t)
    velocity, acceleration = np.deg2rad(degrees) * omega * np.cos(omega * t), -(omega**2) * angle
    radial = -arm_m * velocity**2 / GRAVITY - np.cos(angle)  # towards the hand
    tangential = arm_m * acceleration / GRAVITY + np.sin(angle)  # forwards
    out = felt(motif, 20.0, arm_m)
    np.testing.assert_allclose(out[:, 0], radial, atol=0.03)
    np.testing.assert_allclose(np.abs(out[:, 2]), np.abs(tangential), atol=0.03)
    np.testing.assert_allclose(out[:, 1], 0.0, atol=1e-9)


def test_the_body_moves_the_wrist_too():
    motif = Motif((1.0, 1.0), (Harmonic("up", 2, 0.02), Harmonic("left", 1, 0.05)), {"roll": 0.0})
    motion = move(rng(), motif, steady(1.0), 0.6, 1000, RATE)
    t = np.arange(1000) / RATE
    expected = [
        0 * t,
        -0.05 * (2 * np.pi) ** 2 * np.sin(2 * np.pi * t),
        -0.02 * (4 * np.pi) ** 2 * np.sin(4 * np.pi * t),
    ]
    np.testing.assert_allclose(motion.force, np.stack(expected, 1) / GRAVITY + [0, 0, 1], atol=0.003)


def test_an_impact_comes_once_a_cycle_at_its_phase():
    quiet = felt(Motif((1.0, 1.0)), 10.0)
    shaken = felt(Motif((1.0, 1.0), impacts=(Impact(0.3, 0.5),)), 10.0)
    change = norm(shaken - quiet).reshape(10, 100)
    assert (change.argmax(1) > 29).all()
    assert (change.argmax(1) < 36).all()
    assert change[:, :28].max() < 0.01 * change.max()


def test_a_swimmers_arm_goes_around_once_a_cycle():
    motion = move(rng(), Motif((0.5, 0.5), circles=True), steady(2.0), 0.6, 1000, RATE)
    hand = motion.forearm.apply([1.0, 0.0, 0.0])
    turned = np.unwrap(np.arctan2(hand[:, 0], -hand[:, 2]))
    assert turned[-1] - turned[0] == pytest.approx(-2 * np.pi * 5, abs=0.1)


@settings(max_examples=20)
@given(SEEDS)
def test_wearing_the_watch_another_way_does_not_change_the_norm(seed: int):
    perfect = replace(person(seed), bias_g=np.zeros(3), noise_g=0.0, range_g=np.inf)
    force = rng(seed).normal(0.0, 1.0, (3000, 3))
    worn = measure(rng(seed), perfect, force, RATE)
    np.testing.assert_allclose(norm(worn), norm(force), rtol=1e-5, atol=1e-6)
    assert not np.allclose(worn, force, atol=0.1)


def test_the_orientation_drifts_slowly():
    perfect = replace(person(), bias_g=np.zeros(3), noise_g=0.0)
    worn = measure(rng(), perfect, np.tile([0.0, 0.6, 0.8], (12_000, 1)), RATE)
    away = np.rad2deg(np.arccos(np.clip(worn @ worn[0], -1, 1)))
    assert 1 < away.max() < 30
    a_second = np.rad2deg(np.arccos(np.clip((worn[100:] * worn[:-100]).sum(1), -1, 1)))
    assert a_second.max() < 3


def test_a_watch_at_rest_reads_one_g_with_its_bias_and_noise_and_saturates():
    someone = replace(person(), bias_g=np.array([0.03, -0.02, 0.01]), noise_g=0.004, range_g=8.0)
    still = np.tile([0.0, 0.0, 1.0], (6000, 1))
    read = measure(rng(), someone, still, RATE)
    true = measure(rng(), replace(someone, bias_g=np.zeros(3), noise_g=0.0), still, RATE)
    np.testing.assert_allclose((read - true).mean(0), someone.bias_g, atol=0.0005)
    np.testing.assert_allclose((read - true).std(0), 0.004, rtol=0.05)
    assert norm(read) == pytest.approx(1.0, abs=0.08)
    assert np.abs(measure(rng(), someone, 30 * still, RATE)).max() == 8.0


@given(SEEDS, st.floats(0.5, 2.2))
def test_strides_of_a_speed(seed: int, speed: float):
    someone = person(seed)
    gait, faster = gait_at(someone, speed), gait_at(someone, speed + 0.1)
    assert gait.velocity == pytest.approx(speed)
    assert 0.6 < gait.stride_time_s < 2.2
    assert 0.5 < gait.stride_length_m < 2.3
    assert 0 < gait.double_support < 0.5
    assert faster.stride_time_s < gait.stride_time_s
    assert faster.stride_length_m > gait.stride_length_m
    assert faster.double_support <= gait.double_support


def test_double_support_smooths_the_passage_from_foot_to_foot():
    """Same person, time and length of strides: what differs at the wrist is owed to double support alone."""
    short, long = (
        replace(walking(person(), Gait(1.1, 1.4, share)), wander=0.0, texture_g=0.0, impacts=())
        for share in (0.15, 0.40)
    )
    power = [np.abs(np.fft.rfft(felt(motif, 22.0), axis=0)) ** 2 for motif in (short, long)]
    frequency = np.fft.rfftfreq(2200, 1 / RATE)
    steps, above = (abs(frequency * 1.1 - order) < 0.1 for order in (2, 4))
    ratios = [p[above].sum() / p[steps].sum() for p in power]
    assert ratios[1] < 0.9 * ratios[0]


def test_an_asymmetric_gait_has_more_at_stride_frequency():
    even, odd = (
        replace(
            walking(replace(person(), asymmetry=asymmetry, swing=0.0), Gait(1.1, 1.4, 0.25)), wander=0.0, texture_g=0.0
        )
        for asymmetry in (0.0, 0.04)
    )
    at_stride = [
        np.abs(np.fft.rfft(move(rng(), m, steady(1.1, 22.0), 0.6, 2200, RATE).force[:, 2]))[20] for m in (even, odd)
    ]
    assert at_stride[1] > 3 * at_stride[0]


def test_fatigue_makes_cycles_slower_smaller_and_less_regular():
    tired = Rhythm.draw(rng(), 1.0, 4000, irregularity=0.03, fatigue=0.1)
    durations = np.diff(tired.starts_s)
    first, last = slice(0, 800), slice(3200, 4000)
    assert durations[last].mean() == pytest.approx(1.09, abs=0.01)
    assert durations[first].mean() == pytest.approx(1.01, abs=0.01)
    assert tired.vigour[last].mean() == pytest.approx(0.91, abs=0.02)
    assert durations[last].std() > 1.4 * durations[first].std()


@given(SEEDS, st.floats(0.4, 3.0), st.floats(0.0, 0.15), st.floats(0.0, 0.12))
def test_phase_rises_through_whole_numbers_at_the_starts_of_cycles(
    seed: int, cycle_s: float, irregularity: float, fatigue: float
):
    rhythm = Rhythm.draw(rng(seed), cycle_s, 30, irregularity, fatigue)
    np.testing.assert_allclose(rhythm.phase(rhythm.starts_s), np.arange(31), atol=1e-9)
    seconds = np.linspace(0, rhythm.starts_s[-1], 2000)
    assert (np.diff(rhythm.phase(seconds)) > 0).all()
    assert (rhythm.size(seconds) > 0).all()


@settings(max_examples=20)
@given(SEEDS)
def test_bouts_take_their_share_of_the_time(seed: int):
    active = effort(rng(seed), 200_000, RATE, 15.0, 5.0)
    assert active[:100].min() > 0.9
    assert active.min() >= 0
    assert active.max() <= 1 + 1e-9
    assert active.min() < 0.01
    assert active.mean() == pytest.approx(0.75, abs=0.1)
    assert np.abs(np.diff(active)).max() < 0.02
    assert (effort(rng(seed), 100, RATE, 15.0, 0.0) == 1).all()


def test_poses_are_held_and_then_changed():
    course = wander(rng(), 200_000, RATE, hold_s=10.0, spread=30.0, channels=3)
    assert course.shape == (3, 200_000)
    assert course.std(1) == pytest.approx(30.0, rel=0.25)
    moving = np.abs(np.diff(course, axis=1)).max(0) > 0.01
    assert 0.05 < moving.mean() < 0.4


@settings(max_examples=25)
@given(SEEDS, st.sampled_from(sorted(MOTIFS)))
def test_everybody_has_an_own_version_of_a_motif(seed: int, workout: str):
    motif = MOTIFS[workout]
    own, other = motif.personal(rng(seed)), motif.personal(rng(seed + 1))
    assert own != other
    assert own.cycles_hz[0] == own.cycles_hz[1] == pytest.approx(np.mean(motif.cycles_hz), rel=0.5)
    assert [(h.channel, h.order) for h in own.harmonics] == [(h.channel, h.order) for h in motif.harmonics]
    assert all(0.4 < h.amplitude / g.amplitude < 2.5 for h, g in zip(own.harmonics, motif.harmonics, strict=True))
