"""The chance that the next count reaches a threshold: one boosted model for all detectors.

The threshold is itself an input: levels enter as their distance to it, so both class thresholds of
all detectors teach the same trees. Histogram gradient boosting of scikit-learn, log loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cloud.lighting.classes import THRESHOLDS, Flags, Floats
from cloud.lighting.predictors import Floats32, Predictors

MAX_ROWS = 400_000
"""A fit never sees more rows: with many detectors a seeded sample of them, so minutes stay few."""

ROUNDS = 250
FOLDS = 4
BLOCK_WEEKS = 3
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
    share = min(1.0, MAX_ROWS / max(int(use.sum()) * len(THRESHOLDS), 1))
    inputs: list[Floats32] = []
    reached: list[Flags] = []
    for threshold in THRESHOLDS:
        chosen = use & (rng.random(use.shape) < share)
        inputs.append(_inputs(known, threshold, chosen))
        reached.append((counts >= threshold * known.capacity)[chosen])
    return _boosted(np.concatenate(inputs), np.concatenate(reached), seed)


def chances(model: Classifier, known: Predictors, where: Flags) -> Chances:
    """Chances for the pairs of `where`, NaN elsewhere."""
    normal, lower = (np.full(where.shape, np.nan) for _ in THRESHOLDS)
    if where.any():
        for result, threshold in zip((normal, lower), THRESHOLDS, strict=True):
            with _one_core():
                result[where] = model.predict_proba(_inputs(known, threshold, where))[:, 1]
    return Chances(normal, lower)


def cross_validated(
    known: Predictors, counts: Floats, use: Flags, *, hours: npt.NDArray[np.int64], seed: int
) -> Chances:
    """Chances for the pairs of `use`, each from a model that has not seen its block of weeks.

    `hours`: number of the hour of each row, for the blocks.
    """
    fold = (hours // (24 * 7 * BLOCK_WEEKS)) % FOLDS
    parts = []
    for left_out in range(FOLDS):
        out = use & (fold == left_out)[:, None]
        model = fit(known, counts, use & ~out, seed=seed)
        parts.append(chances(model, known, out))
    return Chances(_merged([p.normal for p in parts]), _merged([p.lower for p in parts]))


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
        min_samples_leaf=60,
        l2_regularization=5.0,
        max_features=0.5,
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
