"""
Embed a week and look at it
===========================

This tutorial embeds a week of wrist recordings with the encoder that comes with the
package, draws a timeline and a map of the week, and searches it for windows that are
similar to a given one. Nothing is trained.

The week is **simulated**, so that this page needs no download and the true activities
are known. Replace the first section with your own files.
"""

# %%
# Write a week
# ------------
#
# Each activity is simulated in g, as gravity along a direction of the wrist plus the
# movement of the arm. During sleep the arm is still and its posture changes every half
# hour. Walking swings the arm once per stride and jolts it at each step.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

RATE = 50  # Hz
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ACTIVITIES = ["sleep", "desk", "housework", "walk", "run", "cycle"]
rng = np.random.default_rng(0)


def slow(n, every_s, size):
    """Movement (n, 3) that changes direction every few seconds."""
    knots = rng.normal(0, size, (int(n / RATE / every_s) + 2, 3))
    at = np.arange(n) / RATE / every_s
    return np.stack(
        [np.interp(at, np.arange(len(knots)), knot) for knot in knots.T], axis=1
    )


def gravity(*direction):
    """One g along a direction: x to the hand, y across the wrist, z out of its back."""
    return np.array(direction) / np.linalg.norm(direction)


def simulate(activity, seconds):
    """Signal (n, 3) in g."""
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    if activity == "sleep":
        posture = np.repeat(
            rng.normal(0, 1, (n // (1800 * RATE) + 1, 3)), 1800 * RATE, axis=0
        )[:n]
        return posture / np.linalg.norm(posture, axis=1, keepdims=True)
    if activity == "desk":
        return gravity(0.2, 0.1, 1) + slow(n, 20, 0.05) + slow(n, 0.3, 0.02)
    if activity == "housework":
        return gravity(-0.5, 0.2, 0.8) + slow(n, 3, 0.25) + slow(n, 0.25, 0.12)
    if activity == "cycle":
        return (
            gravity(0.4, -0.2, 0.9)
            + rng.normal(0, 0.12, (n, 3))
            + np.outer(0.06 * np.sin(2 * np.pi * 1.3 * t), [0, 1, 1])
        )
    stride, swing, jolt, posture = {
        "walk": (0.95, 0.25, 0.15, gravity(-1, 0.1, 0.15)),
        "run": (1.4, 0.7, 0.9, gravity(-0.3, 0.9, 0.3)),
    }[activity]
    knots = t[:: 2 * RATE]  # the pace changes a little every two seconds
    phase = 2 * np.pi * stride * rng.normal(1, 0.03) * t + np.interp(
        t, knots, rng.normal(0, 0.2, len(knots))
    )
    arm = np.outer(swing * np.sin(phase), [0.3, 0.2, 1])
    steps = np.outer(
        jolt * np.sin(2 * phase) + 0.4 * jolt * np.sin(4 * phase + 1), [1, 0.4, 0.2]
    )
    return posture + arm + steps + slow(n, 5, 0.05)


# %%
# A diary lists when each activity begins, in hours. The simulated person works from
# Monday to Friday, cycles to work and back, runs on Tuesday and Thursday evening, and
# sleeps longer at the weekend.

work = [
    (0, "sleep"),
    (7, "housework"),
    (8, "cycle"),
    (8.5, "desk"),
    (12, "walk"),
    (12.75, "desk"),
]
work += [(17, "cycle"), (17.5, "housework"), (19.5, "desk"), (23, "sleep")]
running = [*work[:-2], (18.5, "run"), (19.25, "housework"), *work[-2:]]
weekend = [
    (0, "sleep"),
    (9, "housework"),
    (11, "walk"),
    (13, "desk"),
    (15, "walk"),
    (16, "housework"),
]
weekend += [(19, "desk"), (23.5, "sleep")]
DIARY = dict(
    zip(DAYS, [work, running, work, running, work, weekend, weekend], strict=True)
)

week = []  # one signal (n, 3) per day
for diary in DIARY.values():
    hours = [*(hour for hour, _ in diary), 24]
    parts = [
        simulate(name, 3600 * (hours[i + 1] - hours[i]))
        for i, (_, name) in enumerate(diary)
    ]
    signal = np.concatenate(parts)
    week.append((signal + rng.normal(0, 0.005, signal.shape)).astype(np.float32))
print(f"{len(week)} days, {sum(len(day) for day in week):,} samples")

# %%
# Embed it
# --------
#
# :func:`~relcon_lightning.embed_recording` resamples a signal to the rate of the
# encoder, cuts it into windows and embeds them. ``stride_s=30`` takes a window of 2.56
# s every half minute, which is enough to look at a week; leave it out to embed every
# window.

from relcon_lightning import Embedder, embed_recording

encoder = Embedder.load("open-wrist-small")  # load it once for all days
starts, embeddings = zip(
    *(embed_recording(encoder, day, RATE, stride_s=30) for day in week), strict=True
)
since = np.concatenate(
    [24 * number + start / 3600 for number, start in enumerate(starts)]
)  # hours since Monday 0:00
raw = np.concatenate(embeddings)
print(f"{len(raw):,} windows, {raw.shape[1]} numbers per window")

# %%
# Device files need no Python program. This command does the same and writes a table
# with the start time and the embedding of each window.
#
# .. code-block:: bash
#
#     relcon-embed checkpoint=open-wrist-small input=week.cwa stride_s=30
#
# The numbers of an embedding have different scales. Standardise them before you compare
# windows. ``truth`` is the activity in the diary.

centre, scale = raw.mean(0), raw.std(0).clip(1e-6)
embedding = (raw - centre) / scale
truth = np.array(
    [
        [name for hour, name in DIARY[DAYS[int(h // 24)]] if hour <= h % 24][-1]
        for h in since
    ]
)

# %%
# The timeline
# ------------
#
# k-means clusters the embeddings into ten groups, without the diary. The left figure
# shows the group of each window, one row per day; the right one shows the diary. The
# colours of the groups are arbitrary. Where both figures have the same pattern, the
# embedding separates the activity. Sleep falls into several groups, one or more per
# posture, because the embedding preserves the direction of gravity.

from matplotlib.colors import ListedColormap
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

main = PCA(16, random_state=0).fit_transform(embedding)
group = KMeans(10, n_init=4, random_state=0).fit_predict(main)

COLOURS = ["#2b3a67", "#9fb8d9", "#d9a441", "#588b4a", "#c8553d", "#7d5ba6"]


def timeline(axes, codes, title, colours):
    """Draw one row per day; each of the 2880 half minutes of a day is a column."""
    picture = np.full((7, 2880), np.nan)
    picture[(since // 24).astype(int), np.rint(since % 24 * 120).astype(int)] = codes
    axes.imshow(
        picture,
        aspect="auto",
        extent=(0, 24, 7, 0),
        interpolation="nearest",
        cmap=ListedColormap(colours),
    )
    axes.set(
        title=title,
        xlabel="hour of the day",
        xticks=range(0, 25, 4),
        yticks=np.arange(7) + 0.5,
    )
    axes.set_yticklabels(DAYS)
    axes.hlines(range(8), 0, 24, color="white", linewidth=3)


figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 3.4), sharey=True, layout="constrained"
)
timeline(left, group, "groups of the embedding", plt.get_cmap("tab10").colors)
timeline(right, [ACTIVITIES.index(name) for name in truth], "diary", COLOURS)
for name, colour in zip(ACTIVITIES, COLOURS, strict=True):
    right.plot([], [], "s", color=colour, label=name)
figure.legend(loc="outside right center", frameon=False)

# %%
# The table shows which percentage of each activity's windows is in each group.

shares = pd.crosstab(
    pd.Series(truth, name="diary"), pd.Series(group, name="group"), normalize="index"
)
shares.mul(100).round().astype(int)

# %%
# A map of the week
# -----------------
#
# t-SNE places windows with similar embeddings next to each other. Each dot is one of
# 2000 random windows. The left map is coloured by the diary, the right one by the hour
# of the day.

from sklearn.manifold import TSNE

shown = np.sort(np.random.default_rng(0).permutation(len(main))[:2000])
places = TSNE(perplexity=40, init="pca", random_state=0).fit_transform(main[shown])
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name, colour in zip(ACTIVITIES, COLOURS, strict=True):
    left.scatter(*places[truth[shown] == name].T, s=5, color=colour, label=name)
left.legend(frameon=False, markerscale=3, fontsize=8)
left.set_title("activity in the diary")
dots = right.scatter(
    *places.T, s=5, c=since[shown] % 24, cmap="twilight", vmin=0, vmax=24
)
right.set_title("hour of the day")
figure.colorbar(dots, ax=right, ticks=range(0, 25, 6))
for axes in (left, right):
    axes.set_axis_off()

# %%
# Find similar windows
# --------------------
#
# When did the person do the same as on Tuesday at 18:45? Take that window and sort the
# windows of all *other* days by the cosine similarity of their embeddings, which is 1
# for equal directions.


def clock(hour):
    """Day and time of an hour of the week."""
    minutes, seconds = divmod(round(hour * 3600), 60)
    day, minutes = divmod(minutes, 1440)
    return f"{DAYS[day]} {minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


query = int(np.argmin(np.abs(since - (24 + 18.75))))
length = np.linalg.norm(embedding, axis=1)
similarity = embedding @ embedding[query] / length / length[query]
other_day = since // 24 != since[query] // 24
nearest = np.argsort(-np.where(other_day, similarity, -1))[:60]
found = pd.DataFrame(
    {
        "when": [clock(hour) for hour in since[nearest]],
        "similarity": similarity[nearest].round(3),
        "diary": truth[nearest],
    }
)
found.head(6)

# %%
# The encoder has never seen the diary or this person. The signals show why the
# embeddings of these windows are similar. The first panel shows the query window.

figure, panels = plt.subplots(
    1, 4, figsize=(10, 2.4), sharex=True, sharey=True, layout="constrained"
)
time = np.arange(128) / RATE
for axes, place in zip(panels, [query, *nearest[:3]], strict=True):
    first = round(since[place] % 24 * 3600 * RATE)
    window = week[int(since[place] // 24)][first : first + 128]
    for signal, axis in zip(window.T, "xyz", strict=True):
        axes.plot(time, signal, linewidth=1, label=axis)
    axes.set_title(clock(since[place]), fontsize=9)
figure.supxlabel("time, s", fontsize=9)
panels[0].set_ylabel("acceleration, g")
figure.legend(
    *panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False
)

# %%
# To answer the question, count the sixty nearest windows by day and by activity in the
# diary:

found.groupby([found["when"].str.split().str[0].rename("day"), "diary"]).size().rename(
    "windows"
).to_frame()

# %%
# What to keep in mind
# --------------------
#
# * Real activities overlap more than simulated ones. Treat a group or an island as a
#   question to examine, not as a diagnosis.
# * The encoder sees 2.56 s at a time. It has no information about the minutes before
#   and after.
# * Embeddings also depend on who wears the watch, and how. Compare windows of one
#   person, or train a probe on labels of several people: see :doc:`/docs/own_cohort`.
