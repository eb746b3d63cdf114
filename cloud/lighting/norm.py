"""Which class a road asks for, and how much light that is: the tables of a norm, and their use.

CEN/TR 13201-1: class number = 6 - the sum of the weights, clamped to the classes there are. The
tables are data (`norms/*.toml`, versioned, by country): nations differ, and several values are
marked to be checked against a bought copy of the standard.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

_PACKAGE = "cloud.lighting.norms"
DEFAULT = "cen-2014"


class Volume(StrEnum):
    """Traffic as a share of the road's capacity; the order is that of falling light."""

    HIGH = "high"
    MODERATE = "moderate"
    LOW = "low"


VOLUMES = tuple(Volume)


class NormError(ValueError):
    """A road that the norm has no class for; the message names parameter, value and remedy."""


@dataclass(frozen=True, slots=True)
class Norm:
    """One edition of the tables. `volume` gives the shares of capacity (high from, low below)."""

    key: str
    name: str
    version: str
    countries: tuple[str, ...]
    to_check: tuple[str, ...]
    volume: Mapping[str, tuple[float, float]]
    classes: Mapping[str, tuple[int, int]]
    weights: Mapping[str, Mapping[str, Mapping[str, int]]]
    light: Mapping[str, float]
    conflict: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Selected:
    """A class with the weights that it follows from."""

    name: str
    terms: Mapping[str, int]


def norm_keys() -> tuple[str, ...]:
    """The norms there are tables of."""
    files = (entry.name for entry in resources.files(_PACKAGE).iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in files if n.endswith(".toml")))


@cache
def load(key: str) -> Norm:
    """The tables of `key`; NormError names the ones there are."""
    if key not in norm_keys():
        raise NormError(f"norm {key!r} is unknown; there are {', '.join(norm_keys())}")
    text = resources.files(_PACKAGE).joinpath(f"{key}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return Norm(
        key=key,
        name=table["name"],
        version=table["version"],
        countries=tuple(table["countries"]),
        to_check=tuple(table["to_check"]),
        volume={name: (row["high"], row["low"]) for name, row in table["volume"].items()},
        classes={name: (row[0], row[1]) for name, row in table["classes"].items()},
        weights=table["weights"],
        light=table["light"],
        conflict=table["conflict"],
    )


def for_country(country: str) -> Norm:
    """The norm of a country (ISO 3166, FR), the European report where it has none of its own."""
    return next((n for n in map(load, norm_keys()) if country in n.countries), load(DEFAULT))


def selected(norm: Norm, family: str, parameters: Mapping[str, str], volume: Volume) -> Selected:
    """The class of a road in `family` (M, C, P) with `parameters` and that traffic."""
    tables = norm.weights.get(family)
    if tables is None:
        raise NormError(f"family {family!r} is unknown; use one of {', '.join(norm.weights)}")
    given = {**parameters, "volume": volume.value}
    _check_names(tables, given)
    terms = {name: _weight(name, options, given[name]) for name, options in tables.items()}
    least, most = norm.classes[family]
    number = min(max(6 - sum(terms.values()), least), most)
    return Selected(f"{family}{number}", terms)


def equivalent_conflict_class(norm: Norm, road_class: str) -> str:
    """The C class of a conflict area along a road of an M class (CEN/TR 13201-1, table 2)."""
    return norm.conflict.get(road_class, road_class)


def _check_names(tables: Mapping[str, object], given: Mapping[str, str]) -> None:
    if missing := sorted(tables.keys() - given.keys()):
        raise NormError(f"parameters: {', '.join(missing)} is missing")
    if unknown := sorted(given.keys() - tables.keys()):
        names = ", ".join(name for name in tables if name != "volume")
        raise NormError(f"parameters: {', '.join(unknown)} is unknown; there are {names}")


def _weight(name: str, options: Mapping[str, int], option: str) -> int:
    if option not in options:
        raise NormError(f"parameters.{name}: {option!r} is unknown; use {', '.join(options)}")
    return options[option]
