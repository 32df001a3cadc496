"""
Train and evaluate an encoder
=============================

This tutorial trains RelCon on real recordings, looks at what it learns, and evaluates
it on people it has never seen. The training is short, so expect a working example, not
a good encoder.
"""

# %%
# Prepare the recordings
# ----------------------
#
# ``data=watch`` contains smartwatch recordings of ten people who perform seven shoulder
# exercises (Burns et al. 2018). They are installed with the package seglearn.
# :func:`~relcon_lightning.data.prepare.prepare` resamples them to 100 Hz and writes a
# *cohort store*: a folder of arrays and tables.

import tempfile
from pathlib import Path

from relcon_lightning.data.prepare import prepare, summary
from relcon_lightning.data.sources.watch import WatchExercises

folder = Path(tempfile.mkdtemp())  # any folder
store = prepare(WatchExercises(), folder / "watch")
print(summary(store))

# %%
# The data module splits the *people* into training, validation and test sets. It reads
# windows of 2.56 s. A training batch has eight windows of each of four people.

from relcon_lightning.data import CandidateDataModule

data = CandidateDataModule(
    folder / "watch",
    ratios=(4, 2, 4),
    n_candidates=0,
    batch_size=32,
    participants_per_batch=4,
    val_batches=1,
)
data.setup()
print(data.split)

# %%
# The figure shows one window of each exercise, all from the same person. The signals
# contain gravity, so their level shows the orientation of the wrist. Most exercises
# last longer than one window.

import matplotlib.pyplot as plt
import numpy as np

from relcon_lightning.downstream import labelled_windows

NAMES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}
windows = labelled_windows(store, window=256, stride=256)
mine = windows.of([data.split.train[0]])
time = np.arange(256) / 100
figure, panels = plt.subplots(
    2, 4, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained"
)
for axes, (code, name) in zip(panels.flat, NAMES.items(), strict=False):
    for signal, axis in zip(mine.signal[mine.label == code][3], "xyz", strict=True):
        axes.plot(time, signal, linewidth=1, label=axis)
    axes.set_title(f"{code}: {name}", fontsize=9)
panels[1, 3].set_axis_off()
panels[1, 3].legend(
    *panels[0, 0].get_legend_handles_labels(), loc="center", frameon=False
)
figure.supxlabel("time, s")
figure.supylabel("acceleration, g")

# %%
# Train the motif distance
# ------------------------
#
# The first stage learns the distance from one window to another: the error of
# reconstructing the first from pieces of the second. It uses no labels.
#
# A logger writes the losses to a table, and callbacks add metrics of the training.
# ``FirstValidation`` also validates the untrained network, ``Compilation`` compiles the
# distance to make it faster, and ``RetrievalMonitor`` measures how high windows of the
# same exercise by *another* person rank.

import lightning as L
from lightning.pytorch.loggers import CSVLogger

from relcon_lightning.methods import DistanceLearning, RelCon
from relcon_lightning.nets import MotifDistance, small_resnet_1d
from relcon_lightning.training.callbacks import (
    Compilation,
    FirstValidation,
    OnlineProbe,
    RetrievalMonitor,
)


def train(method, name, steps):
    """Train for some steps, with four validations and one before the first step."""
    callbacks = [
        Compilation(),
        FirstValidation(),
        RetrievalMonitor(by_distance=24),
        OnlineProbe(),
    ]
    trainer = L.Trainer(
        max_steps=steps,
        max_epochs=1,
        val_check_interval=max(1, steps // 4),
        log_every_n_steps=4,
        callbacks=callbacks,
        logger=CSVLogger(folder, name, ""),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(method, data)


L.seed_everything(0)
distance = MotifDistance()
train(DistanceLearning(distance), "distance", steps=60)

# %%
# Which windows are similar under this distance? Each row below starts with an *anchor*,
# a window of a validation person. Next come the three nearest windows and, after the
# gap, the three farthest. The anchor is reconstructed well from windows that contain
# the same shapes at the same level, even from other people. The distance does not
# recognise exercises: two exercises with similar signals are near each other.

import torch

from relcon_lightning.reporting.ranking import ranking

held_out = windows.of(data.split.validation)
held_out = held_out.take(np.random.default_rng(0).permutation(len(held_out))[:32])
with torch.no_grad():
    distances = distance.eval().in_batch(torch.from_numpy(held_out.signal)).numpy()
people = np.unique(held_out.participant, return_inverse=True)[1]
ranking(
    held_out.signal,
    distances,
    people,
    rate=100,
    unit="g²",
    label=held_out.label.tolist(),
)

# %%
# Train the encoder
# -----------------
#
# The second stage freezes the distance and trains a small 1D ResNet. Windows that the
# distance finds closer to an anchor must also be closer in the embedding. The network
# sees slightly augmented copies of the windows (noise, scale, pace), which reduces
# overfitting to the few training windows. ``pairs=8`` compares each window with eight
# others of the batch instead of all 31, which keeps this example short.

from relcon_lightning.augment import Noise, RandomAugmentations, Scale, TimeWarp

gentle = RandomAugmentations([Noise(), Scale(), TimeWarp(per_axis=False)], n=2)
relcon = RelCon(small_resnet_1d(), distance, temperature=0.1, view=gentle, pairs=8)
train(relcon, "relcon", steps=40)

# %%
# The logger wrote ``metrics.csv``. Lower is better for the loss, higher for the other
# panels:
#
# * *average precision*: are windows of the same exercise by the other person nearest?
#   The dotted line is chance.
# * *macro F1 of the online probe*: can the exercise be predicted from the nearest
#   embeddings of the other person?
#
# The dashed line is the untrained network. It is above chance, because even random
# filters keep some of the shape of a signal. Only the part above the dashed line was
# learned. Do not expect much from four training people: if the loss falls and the other
# curves fall too, the network overfits the training people. This run therefore stops
# after 40 steps.

import pandas as pd

from relcon_lightning.reporting.curves import curves

curves({"": pd.read_csv(folder / "relcon" / "metrics.csv")})

# %%
# Evaluate on other people
# ------------------------
#
# The four test people were used neither for training nor for model selection. Each of
# them is left out once: a *linear probe*, which is a logistic regression on the frozen
# embedding, is fitted on the other three and predicts the exercise of each window of
# the fourth.
#
# Two baselines get the same windows: the same network with random weights, and
# hand-crafted features with a random forest. An encoder that cannot beat them has
# learned nothing useful. Each of the three seeds draws different random weights, trees,
# and training windows for the probes.

from relcon_lightning.data.splits import leave_one_out
from relcon_lightning.downstream import LinearProbe, evaluate
from relcon_lightning.downstream.systems import frozen, handcrafted
from relcon_lightning.reporting.report import score_table


def untrained(seed):
    """The same architecture with random weights."""
    torch.manual_seed(seed)
    return small_resnet_1d().eval()


encoder = relcon.encoder.eval()
systems = [
    frozen("RelCon", lambda seed: encoder, LinearProbe, seeded=False),
    frozen("random encoder", untrained, LinearProbe),
    handcrafted(sampling_rate=100),
]
result = evaluate(
    systems,
    windows.of(data.split.test),
    list(leave_one_out(data.split.test)),
    seeds=[0, 1, 2],
)
score_table(result.scores, "window")

# %%
# ``±`` is the standard deviation over seeds. It does not show how much the score would
# change with other people. The next table does: its intervals come from a bootstrap
# over the test people. With only four people the intervals are wide, and the last
# column gives no verdict.

from relcon_lightning.downstream.statistics import comparison_table

comparison_table(result.predictions[result.predictions["level"] == "window"])

# %%
# Look at the embedding
# ---------------------
#
# t-SNE places windows with similar embeddings next to each other. Each dot is a window
# of a test person. Exercises that form islands can be separated; the probe makes errors
# where colours mix.

from sklearn.manifold import TSNE

figure, panels = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for axes, (system, embedding) in zip(panels, result.embeddings.items(), strict=True):
    scaled = (embedding - embedding.mean(0)) / embedding.std(0).clip(1e-6)
    places = TSNE(
        perplexity=min(30, len(scaled) // 4), init="pca", random_state=0
    ).fit_transform(scaled)
    for code, name in NAMES.items():
        axes.scatter(*places[result.embedded == code].T, s=6, label=name)
    axes.set_title(system)
    axes.set_axis_off()
figure.legend(
    *panels[0].get_legend_handles_labels(),
    loc="outside right center",
    frameon=False,
    markerscale=2,
)

# %%
# What to do next
# ---------------
#
# * The commands ``relcon-pretrain`` and ``relcon-eval`` do all of this, with
#   checkpoints, logs and a report. The :doc:`quick start </README>` shows them.
# * Train on :doc:`your own recordings </docs/own_cohort>`. More people help more than
#   more steps.
# * :doc:`The method </docs/method>` explains the distance and the loss.
