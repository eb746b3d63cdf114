"""Quantiles of the wait learned from waits that are known: a quantile regression forest.

Where the waits of some weeks are known (tickets, a survey, a queue's log), trees learn which signs
(`cloud.waiting.signs`) went before which waits; the law of a wait is that of the waits in the
leaves that its signs lead to (Meinshausen 2006). A leaf keeps LEAF_WAITS of its waits, drawn with
the seed. The trees are extremely randomised (Geurts, Ernst & Wehenkel 2006, scikit-learn); reading
them takes numpy alone, and bytes that come from the database are data, never code.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import Ints, Vector

TREES = 60
LEAF_WAITS = 12
LEAST_IN_LEAF = 20
LEAST_WAITS = 500
"""Fewer known waits teach nothing that would hold."""

MOST_WAITS = 40_000
SIGNS_A_SPLIT = 0.5
CHUNK = 2_000
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAF = -1


class ForestError(ValueError):
    """Bytes that are no forest; the message says why."""


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees laid one after the other; `roots` (trees,) is where each begins.

    Of each node `sign` (-1 in a leaf), `limit`, `low` and `high` (where signs <= limit lead to, and
    the others), and `leaf`, its row in `waits_s` (leaves, LEAF_WAITS). `signs`: how many there are.
    """

    signs: int
    roots: Ints
    sign: Ints
    limit: Vector
    low: Ints
    high: Ints
    leaf: Ints
    waits_s: NDArray[np.float32]

    def quantiles(self, signs: Vector, levels: Vector) -> Vector:
        """Seconds, (rows, levels), ascending along a row; `signs` is (rows, self.signs)."""
        if signs.shape[1] != self.signs:
            raise ValueError(f"{signs.shape[1]} signs, the forest was taught with {self.signs}")
        parts = [
            np.quantile(self._waits(signs[first : first + CHUNK]), levels, axis=1).T
            for first in range(0, signs.shape[0], CHUNK)
        ]
        return np.concatenate(parts) if parts else np.empty((0, levels.size))

    def _waits(self, signs: Vector) -> NDArray[np.float32]:
        """The waits in all leaves that each row leads to, (rows, trees * LEAF_WAITS)."""
        value = signs.astype(np.float32)
        rows = np.arange(value.shape[0])[:, None]
        node = np.broadcast_to(self.roots, (value.shape[0], self.roots.size)).copy()
        while (inner := self.sign[node] != _LEAF).any():
            below = value[rows, np.maximum(self.sign[node], 0)] <= self.limit[node]
            node = np.where(inner, np.where(below, self.low[node], self.high[node]), node)
        return self.waits_s[self.leaf[node]].reshape(value.shape[0], -1)

    def to_bytes(self) -> bytes:
        """Compressed; `from_bytes` gives the same forest back."""
        out = io.BytesIO()
        np.savez_compressed(out, **{one.name: getattr(self, one.name) for one in fields(self)})
        return out.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Forest:
        """The forest of `to_bytes`; ForestError for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as parts:
                found = {one.name: parts[one.name] for one in fields(Forest)}
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as exc:
            raise ForestError(f"not a forest: {exc}") from exc
        forest = Forest(**{**found, "signs": int(found["signs"])})
        _check(forest)
        return forest


def best_share(filter_s: Vector, forest_s: Vector, wait_s: Vector, levels: Vector) -> float:
    """How much of the forest to mix into the filter's quantiles: by the least pinball loss.

    `filter_s`, `forest_s`: (waits, levels) for waits that neither was taught with. 0 without any.
    """
    losses = [_pinball(mixed(filter_s, forest_s, share), wait_s, levels) for share in SHARES]
    return SHARES[int(np.argmin(losses))]


def mixed(filter_s: Vector, forest_s: Vector, share: float) -> Vector:
    """Quantiles averaged level by level, `share` of them the forest's."""
    return np.asarray((1.0 - share) * filter_s + share * forest_s)


def _pinball(quantiles_s: Vector, wait_s: Vector, levels: Vector) -> float:
    gap = wait_s[:, None] - quantiles_s
    return float(np.maximum(levels * gap, (levels - 1.0) * gap).sum())


def teach(signs: Vector, wait_s: Vector, *, seed: int = 0, trees: int = TREES) -> Forest | None:
    """A forest from `signs` (waits, n) and the waits that followed; None with too few of them."""
    from sklearn.ensemble import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        ExtraTreesRegressor,
    )

    if wait_s.size < LEAST_WAITS:
        return None
    rng = np.random.default_rng(seed)
    if wait_s.size > MOST_WAITS:
        chosen = rng.choice(wait_s.size, MOST_WAITS, replace=False)
        signs, wait_s = signs[chosen], wait_s[chosen]
    grown = ExtraTreesRegressor(
        trees, min_samples_leaf=LEAST_IN_LEAF, max_features=SIGNS_A_SPLIT, random_state=seed
    )
    grown.fit(signs, np.sqrt(wait_s))  # the root: a long wait must not decide every split
    reached = grown.apply(signs)
    return _laid([one.tree_ for one in grown.estimators_], reached, wait_s, signs.shape[1], rng)


def _laid(
    trees: Sequence[Any], reached: Ints, wait_s: Vector, signs: int, rng: np.random.Generator
) -> Forest:
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    waits, leaf, leaves = [], [], 0
    for place, tree in enumerate(trees):
        drawn = _drawn(reached[:, place], wait_s, rng)
        at = np.zeros(tree.node_count, dtype=np.int64)
        at[np.unique(reached[:, place])] = leaves + np.arange(drawn.shape[0])
        leaves += drawn.shape[0]
        waits.append(drawn)
        leaf.append(at)
    low = [
        np.maximum(tree.children_left, 0) + root for tree, root in zip(trees, roots, strict=True)
    ]
    high = [
        np.maximum(tree.children_right, 0) + root for tree, root in zip(trees, roots, strict=True)
    ]
    is_leaf = np.concatenate([tree.children_left < 0 for tree in trees])
    return Forest(
        signs=signs,
        roots=roots.astype(np.int64),
        sign=np.where(is_leaf, _LEAF, np.concatenate([tree.feature for tree in trees])),
        limit=np.concatenate([tree.threshold for tree in trees]),
        low=np.concatenate(low),
        high=np.concatenate(high),
        leaf=np.concatenate(leaf),
        waits_s=np.concatenate(waits),
    )


def _drawn(reached: Ints, wait_s: Vector, rng: np.random.Generator) -> NDArray[np.float32]:
    """LEAF_WAITS of the waits of each leaf that was reached, in the order of the leaves."""
    order = np.argsort(reached, kind="stable")
    _, first, count = np.unique(reached[order], return_index=True, return_counts=True)
    pick = first[:, None] + (rng.random((first.size, LEAF_WAITS)) * count[:, None]).astype(np.int64)
    return wait_s[order][pick].astype(np.float32)


def _check(forest: Forest) -> None:
    """What would lead out of the arrays, or for ever round in them, is refused."""
    nodes = forest.sign.size
    inner = forest.sign != _LEAF
    own = np.arange(nodes)
    sound = (
        all(one.shape == (nodes,) for one in (forest.limit, forest.low, forest.high, forest.leaf))
        and forest.waits_s.ndim == 2
        and bool(np.isfinite(forest.waits_s).all())
        and bool((forest.waits_s >= 0).all())
        and bool(((forest.sign >= _LEAF) & (forest.sign < forest.signs)).all())
        and all(
            bool(((one > own) & (one < nodes))[inner].all()) for one in (forest.low, forest.high)
        )
        and bool(((forest.leaf >= 0) & (forest.leaf < forest.waits_s.shape[0])).all())
        and bool(((forest.roots >= 0) & (forest.roots < nodes)).all())
    )
    if not sound:
        raise ForestError("a forest that does not hold together")
