"""The chance that the next count reaches a threshold: boosted models for all detectors.

The threshold is itself an input: levels enter as their distance to it, so both class thresholds of
all detectors teach the same trees, and so do other shares of the capacity near them (`TAUGHT`), as
far as there is room: where detectors are few, they are most of what there is to learn from.

Histogram gradient boosting of scikit-learn, log loss. Four models, each of which has not seen a
quarter of the year: what one says of its own quarter calibrates the price, and the mean of their
logits is what is decided by afterwards. No model is fitted for one of the two alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cloud.lighting.classes import TAUGHT, THRESHOLDS, Flags, Floats
from cloud.lighting.predictors import Floats32, Predictors

MAX_ROWS = 260_000
"""A fit never sees more rows: with many detectors a seeded sample of them, so minutes stay few."""

ROUNDS = 300
FOLDS = 4
BLOCK_WEEKS = 3
TINY = 1e-7
"""Cross-validation leaves out every fourth block of three weeks: neighbours in time go together."""


class Classifier(Protocol):
    """What is used of scikit-learn's classifier."""

    def predict_proba(self, x: Floats32) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Chances:
    """P(count >= threshold) per (dark hour, detector), one array a threshold of THRESHOLDS."""

    normal: Floats
    lower: Floats


def fit(known: Predictors, counts: Floats, use: Flags, *, seed: int) -> Classifier:
    """Fit on the (dark hour, detector) pairs of `use`; counts (dark hours, detectors)."""
    rng = np.random.default_rng(seed)
    own = max(int(use.sum()) * len(THRESHOLDS), 1)
    beside = own // len(THRESHOLDS) * len(TAUGHT)
    share = min(1.0, MAX_ROWS / own)
    rest = min(1.0, max(MAX_ROWS - own, 0) / max(beside, 1))
    inputs: list[Floats32] = []
    reached: list[Flags] = []
    for threshold, kept in [*((t, share) for t in THRESHOLDS), *((t, rest) for t in TAUGHT)]:
        chosen = use & (rng.random(use.shape) < kept)
        inputs.append(_inputs(known, threshold, chosen))
        reached.append((counts >= threshold * known.capacity)[chosen])
    return _boosted(np.concatenate(inputs), np.concatenate(reached), seed)


def chances(models: Sequence[Classifier], known: Predictors, where: Flags) -> Chances:
    """Chances for the pairs of `where`, NaN elsewhere: the mean of the models' logits."""
    normal, lower = (np.full(where.shape, np.nan) for _ in THRESHOLDS)
    if where.any():
        for result, threshold in zip((normal, lower), THRESHOLDS, strict=True):
            inputs = _inputs(known, threshold, where)
            with _one_core():
                told = [model.predict_proba(inputs)[:, 1] for model in models]
            result[where] = _mean_chance(told)
    return Chances(normal, lower)


def _mean_chance(told: Sequence[Floats]) -> Floats:
    kept = np.clip(np.stack(told), TINY, 1 - TINY)
    logit = np.log(kept / (1 - kept)).mean(axis=0)
    mean: Floats = 1 / (1 + np.exp(-logit))
    return mean


def cross_fitted(
    known: Predictors, counts: Floats, use: Flags, *, hours: npt.NDArray[np.int64], seed: int
) -> tuple[tuple[Classifier, ...], Chances]:
    """Models that each leave out their blocks of weeks, and the chances for the pairs of `use`,
    each from the model that has not seen its block.

    `hours`: number of the hour of each row, for the blocks.
    """
    fold = (hours // (24 * 7 * BLOCK_WEEKS)) % FOLDS
    models: list[Classifier] = []
    parts = []
    for left_out in range(FOLDS):
        out = use & (fold == left_out)[:, None]
        taught = use & ~out
        model = fit(known, counts, taught if taught.any() else use, seed=seed + left_out)
        models.append(model)
        parts.append(chances([model], known, out))
    unseen = Chances(_merged([p.normal for p in parts]), _merged([p.lower for p in parts]))
    return tuple(models), unseen


def _merged(parts: Sequence[Floats]) -> Floats:
    merged = parts[0].copy()
    for part in parts[1:]:
        np.copyto(merged, part, where=np.isfinite(part))
    return merged


def _inputs(known: Predictors, threshold: float, chosen: Flags) -> Floats32:
    """(pairs, columns): levels relative to the threshold, the rest, threshold in vehicles."""
    log_threshold = np.float32(np.log(threshold))
    levels = known.levels[:, chosen] - log_threshold
    others = known.others[:, chosen]
    vehicles = np.broadcast_to(np.log(threshold * known.capacity), chosen.shape)[chosen]
    share = np.full(levels.shape[1], threshold)
    return np.vstack([levels, others, vehicles, share]).T.astype(np.float32)


def _boosted(inputs: Floats32, reached: Flags, seed: int) -> Classifier:
    # Imported here: the rest of lighting must not wait for it, and the gateway never needs it.
    # Without the cloud extra there is nothing to check against, with it there are no types.
    from sklearn.ensemble import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        HistGradientBoostingClassifier,
    )

    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        learning_rate=0.045,
        max_leaf_nodes=24,
        min_samples_leaf=150,
        l2_regularization=5.0,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )
    with _one_core():
        fitted: Classifier = model.fit(inputs, reached)
    return fitted


def _one_core() -> AbstractContextManager[object]:
    """The trees are small: more threads wait for each other, and the machine has other work."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="openmp")
    return limits
