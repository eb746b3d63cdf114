"""The register tables of one Modbus unit, laid out by a device profile.

Values come from a `Model` at the moment of the request: all registers of one reply belong to the
same instant, so a 32-bit counter is never torn. Reads follow the limits of the profile: no more
than `max_block`, even counts where the device insists, and gaps up to `max_gap` read as 0.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware_sim.errors import ExceptionCode, RequestRefusedError
from protocols import registers
from protocols.profile import Function, Point, Profile
from protocols.registers import Value


class Model(Protocol):
    """The devices behind a unit, numbered by the index of the profile."""

    def values(self, index: int) -> Mapping[str, Value]:
        """The present value of every point of the profile, by point name, in its unit."""
        ...

    def write(self, index: int, point: Point, value: Value) -> None:
        """Obey a write; RequestRefusedError if the device cannot."""
        ...


@dataclass(frozen=True, slots=True)
class _Cell:
    """One address: which word of which point of which device it holds."""

    point: Point
    index: int
    word: int


class ProfileBank:
    """A `pdu.Bank` for the devices `indexes` of `profile`."""

    def __init__(self, profile: Profile, indexes: Sequence[int], model: Model) -> None:
        self._profile = profile
        self._model = model
        self._cells = _layout(profile, indexes)
        self._readable = {
            function: _readable(cells, profile.max_gap) for function, cells in self._cells.items()
        }

    def read(self, function: Function, address: int, count: int) -> list[int]:
        self._check_read(function, address, count)
        cells = self._cells[function]
        snapshot: dict[int, Mapping[str, Value]] = {}
        encoded: dict[tuple[str, int], list[int]] = {}
        reply = [0] * count
        for place in range(count):
            for cell in cells.get(address + place, ()):
                key = (cell.point.name, cell.index)
                if key not in encoded:
                    if cell.index not in snapshot:
                        snapshot[cell.index] = self._model.values(cell.index)
                    encoded[key] = _encoded(cell.point, snapshot[cell.index][cell.point.name])
                reply[place] |= encoded[key][cell.word]
        return reply

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        writes = list(self._decoded_writes(function, address, values))
        for point, index, value in writes:
            self._model.write(index, point, value)

    def _check_read(self, function: Function, address: int, count: int) -> None:
        if count > self._profile.max_block or (self._profile.even_only and count % 2):
            raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE, f"quantity {count}")
        readable = self._readable.get(function, frozenset())
        if any(place not in readable for place in range(address, address + count)):
            raise RequestRefusedError(
                ExceptionCode.ILLEGAL_ADDRESS, f"{function} {address}..{address + count - 1}"
            )

    def _decoded_writes(
        self, function: Function, address: int, values: Sequence[int]
    ) -> Iterator[tuple[Point, int, Value]]:
        """Every written point with its new value; refused before any of them is used."""
        place = 0
        while place < len(values):
            point, index = self._writable_at(function, address + place)
            words = values[place : place + point.words]
            if len(words) < point.words:
                raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS, f"part of {point.name}")
            yield point, index, _checked(point, registers.decode(point, words))
            place += point.words

    def _writable_at(self, function: Function, address: int) -> tuple[Point, int]:
        for cell in self._cells.get(function, {}).get(address, ()):
            if cell.point.writable and cell.word == 0:
                return cell.point, cell.index
        raise RequestRefusedError(
            ExceptionCode.ILLEGAL_ADDRESS, f"{function} {address} is read-only"
        )


def _layout(
    profile: Profile, indexes: Sequence[int]
) -> dict[Function, dict[int, tuple[_Cell, ...]]]:
    """The cells of every address; several bits of a register share one address."""
    layout: dict[Function, dict[int, tuple[_Cell, ...]]] = {}
    for point in profile.points:
        table = layout.setdefault(point.function, {})
        for index in indexes:
            start = point.address_at(index)
            for word in range(point.words):
                present = table.get(start + word, ())
                table[start + word] = (*present, _Cell(point, index, word))
    return layout


def _readable(cells: Mapping[int, object], max_gap: int) -> frozenset[int]:
    """The addresses that may be read: the declared ones and the gaps a reader may span."""
    readable = set(cells)
    ordered = sorted(cells)
    for left, right in itertools.pairwise(ordered):
        if right - left - 1 <= max_gap:
            readable.update(range(left + 1, right))
    return frozenset(readable)


def _encoded(point: Point, value: Value) -> list[int]:
    """The words of `value`; a counter beyond its width begins again, as the device's would."""
    modulus = point.counter_modulus
    if modulus is not None and isinstance(value, int | float):
        value = value % modulus
    try:
        return registers.encode(point, value)
    except registers.RegisterError as fault:
        raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE, str(fault)) from fault


def _checked(point: Point, value: Value) -> Value:
    if not isinstance(value, int | float):
        raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE, f"{point.name} cannot be {value!r}")
    lo, hi = point.write_lo, point.write_hi
    if lo is not None and hi is not None and not lo <= value <= hi:
        raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE, f"{point.name} {value:g}")
    return value
