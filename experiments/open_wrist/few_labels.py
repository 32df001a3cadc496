"""How the shipped encoder compares with hand-crafted features when few people are labelled.

Needs the stores of DSA, MotionSense, watch and WISDM at 50 Hz in the folder ``data``:

    relcon-prepare data=dsa data.raw_dir=PATH data.sampling_rate=50

and so on. For each number of labelled people, people are drawn at random, a probe is fitted on all their windows, and
everyone else is tested. All systems share the draws. Writes few_labels.csv and few_labels.png beside this file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from relcon_lightning import load_encoder
from relcon_lightning.data import CohortStore
from relcon_lightning.downstream.features import handcrafted_features
from relcon_lightning.downstream.windows import LabelledWindows, labelled_windows
from relcon_lightning.embed.windows import embed_windows, estimate_normalisation
from relcon_lightning.runs.checkpoint import Checkpoint

HERE = Path(__file__).parent
CHECKPOINT, RATE, WINDOW = "open-wrist-small", 50, 128
SETS = {
    "dsa": "DSA, wrist",
    "watch": "watch exercises",
    "wisdm": "WISDM test people",
    "motionsense": "MotionSense, pocket",
}
PEOPLE = (1, 2, 3, 5)
DRAWS = 12
SHIPPED, RANDOM = "open-wrist-small, ridge", "random encoder, ridge"
RIDGE, FOREST = "hand-crafted, ridge", "hand-crafted, forest"


def ridge() -> object:
    """Linear classifier of standardised features; its strength is chosen on the labelled windows."""
    return make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-1, 4, 6)))


def forest() -> object:
    """Random forest."""
    return RandomForestClassifier(300, n_jobs=1, random_state=0)


def windows_of(name: str) -> LabelledWindows:
    """Labelled windows of a data set; of WISDM those of the test people."""
    people = json.loads((HERE / "split.json").read_text())["test"] if name == "wisdm" else None
    return labelled_windows(CohortStore.open(Path("data", name)), WINDOW, WINDOW, participants=people)


def features_of(windows: LabelledWindows) -> dict[str, tuple[np.ndarray, Callable[[], object]]]:
    """Features ``(N, F)`` and classifier of each system."""
    random = Checkpoint.read(CHECKPOINT).fresh_encoder(0)
    estimate_normalisation(random, windows.signal)
    crafted = handcrafted_features(windows.signal, RATE)
    return {
        SHIPPED: (embed_windows(load_encoder(CHECKPOINT), windows.signal), ridge),
        RANDOM: (embed_windows(random, windows.signal), ridge),
        RIDGE: (crafted, ridge),
        FOREST: (crafted, forest),
    }


def scores_of(name: str) -> list[dict[str, object]]:
    """Macro F1 of each system, number of labelled people and draw."""
    windows = windows_of(name)
    everybody = np.unique(windows.participant)
    features = features_of(windows)
    return [
        {"set": SETS[name], "people": count, "draw": draw, "system": system, "f1": score}
        for count in PEOPLE
        for draw, labelled in enumerate(draws(everybody, count))
        for system, score in one_draw(windows, features, labelled)
    ]


def draws(everybody: np.ndarray, count: int) -> list[np.ndarray]:
    """Labelled people of each draw; with one person no one comes twice."""
    rng = np.random.default_rng(count)
    if count == 1:
        return [np.array([one]) for one in rng.permutation(everybody)[:DRAWS]]
    return [rng.choice(everybody, count, replace=False) for _ in range(DRAWS)]


def one_draw(
    windows: LabelledWindows, features: dict[str, tuple[np.ndarray, Callable[[], object]]], labelled: np.ndarray
) -> Iterator[tuple[str, float]]:
    """Macro F1 of each system on everyone who is not labelled."""
    train = np.isin(windows.participant, labelled)
    known = np.unique(windows.label[train])
    test = ~train & np.isin(windows.label, known)  # nobody can know an activity that was never labelled
    for system, (x, probe) in features.items():
        predicted = probe().fit(x[train], windows.label[train]).predict(x[test])  # type: ignore[attr-defined]
        yield system, float(f1_score(windows.label[test], predicted, average="macro"))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over draws and its 95 % interval by the bootstrap."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    return float(values.mean()), *(float(q) for q in np.quantile(means, [0.025, 0.975]))


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per data set and number of labelled people."""
    rows = []
    for (name, count), part in scores.groupby(["set", "people"], sort=False):
        wide = part.pivot(index="draw", columns="system", values="f1")
        row: dict[str, object] = {"set": name, "people": count}
        row |= {system: f"{wide[system].mean():.3f}" for system in (SHIPPED, FOREST, RIDGE, RANDOM)}
        mean, low, high = interval((wide[SHIPPED] - wide[FOREST]).to_numpy())
        row["encoder - forest"] = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        rows.append(row)
    return pd.DataFrame(rows)


def draw_figure(scores: pd.DataFrame, path: Path) -> None:
    """One panel per data set."""
    figure, axes = plt.subplots(1, len(SETS), figsize=(11, 2.9), layout="constrained")
    styles = {SHIPPED: ("C0", "o-"), FOREST: ("C1", "s-"), RIDGE: ("C2", "^--"), RANDOM: ("0.6", "x:")}
    for axis, (name, part) in zip(axes, scores.groupby("set", sort=False), strict=True):
        for system, (colour, style) in styles.items():
            by_count = part[part["system"] == system].groupby("people")["f1"]
            mean, low, high = np.array([interval(by_count.get_group(count).to_numpy()) for count in PEOPLE]).T
            axis.errorbar(
                PEOPLE, mean, [mean - low, high - mean], color=colour, fmt=style, label=system, capsize=2, ms=4
            )
        axis.set(title=name, xlabel="labelled people", xticks=PEOPLE)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("macro F1 on the others")
    axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Score all data sets, one process per data set if an argument gives their number."""
    with ProcessPoolExecutor(int(sys.argv[1]) if len(sys.argv) > 1 else 1) as pool:
        found = list(track(pool.map(scores_of, SETS), "Data sets", total=len(SETS)))
    scores = pd.DataFrame([row for rows in found for row in rows])
    summary(scores).to_csv(HERE / "few_labels.csv", index=False)
    draw_figure(scores, HERE / "few_labels.png")
    print(summary(scores).to_string(index=False))


if __name__ == "__main__":
    main()
