"""A lighting group by the name that a client writes."""

from __future__ import annotations

from collections.abc import Sequence

from cloud.api.auth import Principal
from cloud.api.problems import Problem, not_found
from cloud.lighting.store import GroupRecord


def find(records: Sequence[GroupRecord], name: str, who: Principal) -> GroupRecord:
    """The group called `name` (slug or territory.slug) among those the key sees."""
    seen = [record for record in records if who.sees(record.territory)]
    found = [r for r in seen if name in (r.slug, f"{r.territory}.{r.slug}")]
    if not found:
        raise not_found("lighting group", name)
    if len(found) > 1:
        remedy = f"write territory.group, for example {found[0].territory}.{name}"
        raise Problem(409, "ambiguous", f"{len(found)} groups are called {name!r}; {remedy}")
    return found[0]
