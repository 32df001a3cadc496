"""Slow float64 references: the paper's formulas as loops, with which tests compare the vectorised code."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Array = NDArray[np.float64]
VARIANCE_EPS = 1e-5


# --- losses


def cosine(a: Array, b: Array) -> float:
    """Cosine of the angle between two vectors."""
    return float(np.dot(a, b) / math.sqrt(float(np.dot(a, a)) * float(np.dot(b, b))))


def relative_contrastive(
    anchor: Array, candidates: Array, distances: Array, temperature: float = 1.0, mask: Array | None = None
) -> float:
    """Eq. 5-7: each candidate in turn is the positive; strictly farther candidates are its negatives."""
    total = 0.0
    for b in range(len(anchor)):
        counted = [c for c in range(candidates.shape[1]) if mask is None or mask[b, c]]
        s = {c: cosine(anchor[b], candidates[b, c]) / temperature for c in counted}
        for i in counted:
            denominator = math.exp(s[i])
            for j in counted:
                if distances[b, j] > distances[b, i]:
                    denominator += math.exp(s[j])
            total += math.log(denominator) - s[i]
    return total / len(anchor)


def nearest_positive(
    anchor: Array, candidates: Array, distances: Array, temperature: float = 1.0, mask: Array | None = None
) -> float:
    """REBAR: the nearest candidate (the first of equals) is the positive; all others are negatives."""
    total = 0.0
    for b in range(len(anchor)):
        counted = [c for c in range(candidates.shape[1]) if mask is None or mask[b, c]]
        nearest = counted[0]
        for c in counted:
            if distances[b, c] < distances[b, nearest]:
                nearest = c
        s = {c: cosine(anchor[b], candidates[b, c]) / temperature for c in counted}
        total += math.log(sum(math.exp(s[c]) for c in counted)) - s[nearest]
    return total / len(anchor)


def nearest_and_relative(
    anchor: Array, candidates: Array, distances: Array, temperature: float = 1.0, mask: Array | None = None
) -> float:
    """Half the nearest candidate as the only positive, half RelCon's loss per candidate."""
    arguments = (anchor, candidates, distances, temperature, mask)
    per_candidate = 0.0
    for b in range(len(anchor)):
        one = (anchor[b : b + 1], candidates[b : b + 1], distances[b : b + 1], temperature)
        count = candidates.shape[1] if mask is None else int(mask[b].sum())
        per_candidate += relative_contrastive(*one, None if mask is None else mask[b : b + 1]) / max(count, 1)
    return 0.5 * nearest_positive(*arguments) + 0.5 * per_candidate / len(anchor)


def nt_xent(z1: Array, z2: Array, temperature: float) -> float:
    """SimCLR, Eq. 1: the positive of each of the 2B views is its partner; no view is compared with itself."""
    views = np.concatenate([z1, z2])
    n = len(z1)
    total = 0.0
    for i in range(2 * n):
        partner = i + n if i < n else i - n
        denominator = 0.0
        for k in range(2 * n):
            if k != i:
                denominator += math.exp(cosine(views[i], views[k]) / temperature)
        total += math.log(denominator) - cosine(views[i], views[partner]) / temperature
    return total / (2 * n)


def log_ratio(anchor: Array, candidates: Array, distances: Array, mask: Array | None = None) -> float:
    """Kim et al. 2019, Eq. 4: squared difference of the log ratios, mean over ordered pairs and anchors."""
    means = []
    for b in range(len(anchor)):
        a = anchor[b] / np.linalg.norm(anchor[b])
        counted = [c for c in range(candidates.shape[1]) if mask is None or mask[b, c]]
        units = {c: candidates[b, c] / np.linalg.norm(candidates[b, c]) for c in counted}
        squared = {c: float(np.sum((a - units[c]) ** 2)) for c in counted}
        terms = []
        for i, j in itertools.permutations(counted, 2):
            learned = math.log(squared[i] / squared[j])
            wanted = math.log(distances[b, i] / distances[b, j])
            terms.append((learned - wanted) ** 2)
        means.append(sum(terms) / len(terms))
    return sum(means) / len(means)


# --- sparsemax


def simplex_projection(z: Array) -> Array:
    """Nearest point of the simplex by trying every support: the definition, for a handful of entries."""
    best, best_distance = np.full(len(z), np.nan), math.inf
    for size in range(1, len(z) + 1):
        for support in itertools.combinations(range(len(z)), size):
            chosen = list(support)
            point = np.zeros(len(z))
            point[chosen] = z[chosen] - (z[chosen].sum() - 1.0) / size
            distance = float(np.sum((point - z) ** 2))
            if point.min() >= 0.0 and distance < best_distance:
                best, best_distance = point, distance
    return best


def sparsemax(z: Array) -> Array:
    """Martins & Astudillo 2016, Algorithm 1, on one vector."""
    z = z - z.max()
    descending = sorted(z.tolist(), reverse=True)
    running, threshold = 0.0, 0.0
    for k, value in enumerate(descending, start=1):
        running += value
        if 1.0 + k * value > running:
            threshold = (running - 1.0) / k
    return np.maximum(z - threshold, 0.0)


def softmax(z: Array) -> Array:
    """Softmax of one vector."""
    e = np.exp(z - z.max())
    return e / e.sum()


# --- motif distance


def statistics_of(x: Array) -> tuple[Array, Array]:
    """Mean and biased standard deviation (eps under the root) of each axis of ``x`` (3, T), each (3, 1)."""
    mean, sigma = np.zeros((len(x), 1)), np.zeros((len(x), 1))
    for axis, row in enumerate(x):
        mean[axis] = sum(row) / len(row)
        sigma[axis] = math.sqrt(sum((v - mean[axis, 0]) ** 2 for v in row) / len(row) + VARIANCE_EPS)
    return mean, sigma


def conv1d_same(x: Array, weight: Array, bias: Array | None, dilation: int = 1) -> Array:
    """Cross-correlation of ``x`` (in, T) with ``weight`` (out, in, odd k), zeros beyond the ends."""
    steps, half = x.shape[1], (weight.shape[2] - 1) // 2
    out = np.zeros((weight.shape[0], steps))
    for tap in range(weight.shape[2]):
        shift = (tap - half) * dilation
        for t in range(max(0, -shift), min(steps, steps - shift)):
            out[:, t] += weight[:, :, tap] @ x[:, t + shift]
    return out if bias is None else out + bias[:, None]


def dilated_conv_net(weights: dict[str, Array], name: str, x: Array) -> Array:
    """Features (channels, T): stem, then blocks of squeeze, dilated conv, skip, GELU, instance norm."""
    size, steps = weights[f"{name}.stem.weight"].shape[2], x.shape[1]
    h = conv1d_same(x, weights[f"{name}.stem.weight"], None)
    for t in range(steps):
        h[:, t] *= size / sum(0 <= t + tap - size // 2 < steps for tap in range(size))
    h = _gelu_then_norm(h + weights[f"{name}.stem.bias"][:, None])
    for i in itertools.count():
        block = f"{name}.blocks.{i}"
        if f"{block}.squeeze.weight" not in weights:
            return h
        y = conv1d_same(h, weights[f"{block}.squeeze.weight"], weights.get(f"{block}.squeeze.bias"))
        y = conv1d_same(y, weights[f"{block}.dilated.weight"], weights.get(f"{block}.dilated.bias"), 2**i)
        h = _gelu_then_norm(y + h)
    raise AssertionError


def _gelu_then_norm(y: Array) -> Array:
    y = 0.5 * y * (1.0 + erf(y / math.sqrt(2.0)))
    return (y - y.mean(axis=1, keepdims=True)) / np.sqrt(y.var(axis=1, keepdims=True) + VARIANCE_EPS)


def motif_attention(
    weights: dict[str, Array],
    anchor: Array,
    candidate: Array,
    attention: str = "sparsemax",
    statistics: str = "candidate",
) -> Array:
    """Weights (T, T) of Eq. 3: row = anchor time, column = candidate time."""
    mean, sigma = statistics_of(candidate if statistics == "candidate" else anchor)
    q = dilated_conv_net(weights, "query", _affine(weights, (anchor - mean) / sigma))
    k = dilated_conv_net(weights, "key", _normalised_candidate(weights, candidate))
    rule = {"sparsemax": sparsemax, "softmax": softmax}[attention]
    return np.stack([rule(row) for row in q.T @ k / math.sqrt(len(q))])


def motif_reconstruction(
    weights: dict[str, Array],
    anchor: Array,
    candidate: Array,
    attention: str = "sparsemax",
    statistics: str = "candidate",
) -> Array:
    """The anchor (3, T) rebuilt from the candidate (3, T): Eq. 1 to 4."""
    w = motif_attention(weights, anchor, candidate, attention, statistics)
    v = dilated_conv_net(weights, "value", _normalised_candidate(weights, candidate))
    y = weights["output.weight"] @ (w @ v.T).T + weights["output.bias"][:, None]
    y = (y - weights["shift"][:, None]) / weights["scale"][:, None]
    mean, sigma = statistics_of(candidate if statistics == "candidate" else anchor)
    return y * sigma + mean


def motif_distance(weights: dict[str, Array], anchor: Array, candidate: Array, **options: str) -> float:
    """Squared error of the reconstruction, summed over axes and time."""
    return float(np.sum((motif_reconstruction(weights, anchor, candidate, **options) - anchor) ** 2))


def _normalised_candidate(weights: dict[str, Array], candidate: Array) -> Array:
    mean, sigma = statistics_of(candidate)
    return _affine(weights, (candidate - mean) / sigma)


def _affine(weights: dict[str, Array], x: Array) -> Array:
    return x * weights["scale"][:, None] + weights["shift"][:, None]
