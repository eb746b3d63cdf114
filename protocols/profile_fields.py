"""Typed reading of a TOML table that collects every fault instead of stopping at the first."""

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeGuard

from protocols.profile_model import ProfileFault

_MAX_NUMBER = 10**12
_MIN_EXPONENT = -12


class Fields:
    """Reads keys of one table. A missing or wrong value is noted and replaced by a stand-in.

    Every key must be asked for before `refuse_unknown`, which notes the ones nobody asked for.
    Tables opened with `table` share the list of faults.
    """

    def __init__(
        self, data: Mapping[str, object], *, file: str, path: str, faults: list[ProfileFault]
    ) -> None:
        self._data = data
        self._file = file
        self._path = path
        self._faults = faults
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def fault(self, key: str, remedy: str) -> None:
        """Note a fault of `key`, whose value is quoted."""
        where = f"{self._path}.{key}" if self._path and key else self._path or key
        self._faults.append(ProfileFault(self._file, where, self._data.get(key), remedy))

    def table(self, key: str) -> Mapping[str, object]:
        value = self._get(key)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.fault(key, f"write it as a table, [{key}]")
        return {}

    def below(self, key: str) -> "Fields | None":
        """The table [key], to be read key by key; None where the file has none."""
        if key not in self._data:
            return None
        path = f"{self._path}.{key}" if self._path else key
        return Fields(self.table(key), file=self._file, path=path, faults=self._faults)

    def tables(self, key: str) -> Mapping[str, "Fields"]:
        """The sub-tables of `key` by name, e.g. [points.voltage_l1]."""
        rows = self.table(key)
        fields: dict[str, Fields] = {}
        for name, row in rows.items():
            path = f"{key}.{name}"
            if isinstance(row, Mapping):
                fields[name] = Fields(row, file=self._file, path=path, faults=self._faults)
            else:
                self._faults.append(
                    ProfileFault(self._file, path, row, f"write it as a table, [{path}]")
                )
        return fields

    def rows(self, key: str, *, most: int) -> list["Fields"]:
        """The tables of the array [[key]], at most `most`; errors name them key[1], key[2], ..."""
        value = self._get(key)
        rows = value if isinstance(value, list) else []
        if value is not None and not (rows and all(isinstance(row, Mapping) for row in rows)):
            self.fault(key, f"write each as a table of its own, [[{key}]]")
            return []
        if len(rows) > most:
            self.fault(key, f"give at most {most}")
        return [
            Fields(row, file=self._file, path=f"{key}[{place}]", faults=self._faults)
            for place, row in enumerate(rows[:most], start=1)
        ]

    @property
    def path(self) -> str:
        """Where the table stands in its file."""
        return self._path

    def text(self, key: str, *, default: str | None = None) -> str:
        value = self._get(key)
        if isinstance(value, str) and value.strip():
            return value
        if value is None and default is not None:
            return default
        self.fault(key, "is missing: give a text" if value is None else "give a text, not empty")
        return ""

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.fault(key, 'give a list of texts, ["...", "..."]')
        return ()

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(key, "give true or false")
            return default
        return value

    def integer(self, key: str, *, lo: int, hi: int, default: int | None = None) -> int:
        """A whole number lo..hi; without a default the key is mandatory."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        if _is_int(value) and lo <= value <= hi:
            return value
        missing = "is missing: " if value is None else ""
        self.fault(key, f"{missing}give a whole number, {lo}..{hi}")
        return lo if default is None else default

    def integers(self, key: str, *, lo: int, hi: int) -> tuple[int, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(_is_int(item) and lo <= item <= hi for item in value):
            return tuple(value)
        self.fault(key, f"give a list of whole numbers, each {lo:#x}..{hi:#x}")
        return ()

    def decimal(self, key: str, *, default: Decimal) -> Decimal:
        """An exact number of at most 10**12, at most 12 decimals: TOML floats become decimals."""
        value = self._get(key)
        if value is None:
            return default
        if _is_int(value) or isinstance(value, Decimal):
            number = Decimal(value)
            exponent = number.as_tuple().exponent
            if (
                isinstance(exponent, int)
                and exponent >= _MIN_EXPONENT
                and abs(number) <= _MAX_NUMBER
            ):
                return number
        self.fault(key, "give a number up to 1e12 with at most 12 decimals, e.g. 0.1")
        return default

    def word(self, key: str, allowed: tuple[str, ...], *, default: str | None = None) -> str:
        """One of `allowed`; without a default the key is mandatory.

        A misspelt word is replaced by its nearest neighbour, so that one fault does not bring
        others in its train.
        """
        value = self._get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value in allowed:
            return value
        missing = "is missing: " if value is None else ""
        self.fault(key, f"{missing}use {' or '.join(allowed)}{_guess(value, allowed)}")
        return _nearest(value, allowed) or default or allowed[0]

    def refuse_unknown(self) -> None:
        for key in self._data:
            if key not in self._known:
                guess = _guess(key, tuple(sorted(self._known)))
                self.fault(key, f"no such key{guess or '; remove it'}")

    def _get(self, key: str) -> object:
        self._known.add(key)
        return self._data.get(key)


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _nearest(value: object, allowed: tuple[str, ...]) -> str | None:
    close = difflib.get_close_matches(str(value), allowed, n=1)
    return close[0] if close else None


def _guess(value: object, allowed: tuple[str, ...]) -> str:
    close = _nearest(value, allowed)
    return f"; did you mean {close}?" if close else ""
