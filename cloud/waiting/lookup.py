"""A facility by the name that a client writes: its slug, `site.slug` or `territory.site.slug`."""

from __future__ import annotations

from collections.abc import Sequence

from cloud.api.auth import Principal
from cloud.api.problems import Problem, not_found
from cloud.waiting.store import Facility


def find(facilities: Sequence[Facility], name: str, who: Principal | None = None) -> Facility:
    """The facility called `name` among those that the key sees; without a key among all."""
    seen = [one for one in facilities if who is None or who.sees(one.territory)]
    found = [one for one in seen if name in _names(one)]
    if not found:
        raise not_found("facility", name)
    if len(found) > 1:
        remedy = f"write territory.site.facility, for example {_names(found[0])[-1]}"
        raise Problem(409, "ambiguous", f"{len(found)} facilities answer to {name!r}; {remedy}")
    return found[0]


def _names(one: Facility) -> tuple[str, str, str]:
    site = f"{one.site_slug}.{one.slug}"
    return one.slug, site, f"{one.territory}.{site}"
