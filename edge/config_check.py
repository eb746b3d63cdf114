"""Reading TOML tables so that every fault is found, not only the first.

`Table` hands out values by key, checks type and range, and notes a `Fault` for whatever does not
fit; the caller goes on with the default and looks at the faults at the end. `close` reports the
keys nobody asked for, with the known key that looks most like each.
"""

import difflib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from edge.errors import Fault

_T = TypeVar("_T")


class Table:
    """One TOML table: `path` is how the file names it, as `buses.line1` or `devices[3]`."""

    def __init__(self, data: Mapping[str, Any], path: str, *, file: str, faults: list[Fault]):
        self.path = path
        self._data = data
        self._file = file
        self._faults = faults
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        """Whether the file gives `key`, which counts as asked for."""
        self._known.append(key)
        return key in self._data

    def fault(self, key: str, value: object, problem: str, remedy: str) -> None:
        """Note a fault of `key` of this table."""
        path = f"{self.path}.{key}" if self.path else key
        self._faults.append(Fault(self._file, path, value, problem, remedy))

    def text(self, key: str, *, default: str | None = None, remedy: str = "write a text") -> str:
        """A text that is not empty; without `default` the key is required."""
        value = self._take(key, default, remedy)
        if isinstance(value, str) and value:
            return value
        if value is not None:
            self.fault(key, value, "is not a text" if value != "" else "is empty", remedy)
        return default or ""

    def host(self, key: str, *, remedy: str) -> str:
        """The name or address of a host."""
        value = self.text(key, remedy=remedy)
        if value and not _is_host(value):
            self.fault(key, value, "is neither a name nor an address of a host", remedy)
        return value

    def optional_text(self, key: str) -> str | None:
        """A text, or None where the key is absent."""
        return self.text(key) if self.has(key) else None

    def parsed(self, key: str, parse: Callable[[str], _T]) -> _T | None:
        """A required text through `parse`, whose ValueError says what is allowed."""
        text = self.text(key)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as exc:
            self.fault(key, text, "is not allowed", str(exc))
            return None

    def choice(self, key: str, choices: Sequence[str], *, default: str) -> str:
        """One of `choices`; a near miss is named."""
        value = self.text(key, default=default)
        if value in choices:
            return value
        self.fault(key, value, "is unknown", suggestion(value, choices))
        return default

    def number(self, key: str, lo: float, hi: float, *, default: float | None = None) -> float:
        """A finite number within [lo, hi]."""
        allowed = f"write a number from {lo:g} to {hi:g}"
        value = self._take(key, default, allowed)
        if isinstance(value, int | float) and not isinstance(value, bool) and lo <= value <= hi:
            return value
        if value is not None:
            self.fault(key, value, _misfit(value, int | float), allowed)
        return lo if default is None else default

    def integer(self, key: str, lo: int, hi: int, *, default: int | None = None) -> int:
        """A whole number within [lo, hi]."""
        allowed = f"write a whole number from {lo} to {hi}"
        value = self._take(key, default, allowed)
        if isinstance(value, int) and not isinstance(value, bool) and lo <= value <= hi:
            return value
        if value is not None:
            self.fault(key, value, _misfit(value, int), allowed)
        return lo if default is None else default

    def boolean(self, key: str, *, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default, "write true or false")
        if isinstance(value, bool):
            return value
        self.fault(key, value, "is neither true nor false", "write true or false")
        return default

    def table(self, key: str, *, required: bool = False) -> "Table":
        """The table `key`; an absent one is empty."""
        value = self._data.get(key, {})
        self._known.append(key)
        path = f"{self.path}.{key}" if self.path else key
        if required and key not in self._data:
            self.fault(key, None, "is missing", f"add a table [{path}]")
        if not isinstance(value, dict):
            self.fault(key, value, "is not a table", f"write it as [{path}]")
            value = {}
        return Table(value, path, file=self._file, faults=self._faults)

    def tables(self, key: str) -> list["Table"]:
        """The array of tables `key`, as in [[devices]]."""
        value = self._data.get(key, [])
        self._known.append(key)
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.fault(key, value, "is not an array of tables", f"write each as [[{key}]]")
            return []
        return [
            Table(entry, f"{key}[{position}]", file=self._file, faults=self._faults)
            for position, entry in enumerate(value)
        ]

    def named_tables(self) -> dict[str, "Table"]:
        """Every table inside, by its name, as in [buses.line1]."""
        return {key: self.table(key) for key in self._data}

    def peek(self, key: str) -> object:
        """The value as it stands, which does not count as asked for; None where it is absent."""
        return self._data.get(key)

    def names(self) -> list[str]:
        """Every key that the file gives."""
        return list(self._data)

    def is_table(self, key: str) -> bool:
        """Whether `key` holds a table of its own."""
        return isinstance(self._data.get(key), dict)

    def close(self) -> None:
        """Report the keys that nothing asked for."""
        for key, value in self._data.items():
            if key not in self._known:
                shown = None if isinstance(value, dict | list) else value
                self.fault(key, shown, "is an unknown key", suggestion(key, self._known))

    def _take(self, key: str, default: object, remedy: str) -> object:
        if self.has(key):
            return self._data[key]
        if default is None:
            self.fault(key, None, "is missing", remedy)
        return default


def suggestion(given: str, known: Sequence[str]) -> str:
    """A remedy that names the known word nearest to `given`, or all of them."""
    near = difflib.get_close_matches(given, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return "use one of " + ", ".join(sorted(known)) if known else "remove it"


def _misfit(value: object, form: Any) -> str:
    right_type = isinstance(value, form) and not isinstance(value, bool)
    return "is out of range" if right_type else "is not a number"


def _is_host(text: str) -> bool:
    """Whether it can be looked up: an address, or labels of a name with something between dots."""
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        labels = text.removesuffix(".").split(".")
        sayable = not any(character.isspace() or character in "/:@" for character in text)
        return sayable and not labels[-1].isdecimal() and _encodes(text)
    return True


def _encodes(name: str) -> bool:
    """Whether the resolver can be asked for `name` (RFC 3490: 1 to 63 characters a label)."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True
