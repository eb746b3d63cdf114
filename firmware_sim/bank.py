"""The register tables of one Modbus unit, laid out by device profiles.

Values come from a `Model` at the moment of the request: all registers of one reply belong to the
same instant, so a 32-bit counter is never torn. Reads follow the limits of the profile: no more
than `max_block`, even counts where the device insists, and gaps up to `max_gap` read as 0. Eclor's
own maps promise 125 registers a read. A place of an indexed map where no device is fitted reads
"not available" and swallows writes, so that one write may cover all places. A device that says what
it is (the profile's [identify]) does so to the very read that asks for it: in some maps the same
address is part of a value.
"""

import itertools
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware_sim.errors import ExceptionCode, RequestRefusedError
from firmware_sim.pdu import MAX_READ_WORDS
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
    """A `pdu.Bank` for the devices that are fitted at `indexes` of `profile`."""

    def __init__(self, profile: Profile, indexes: Collection[int], model: Model) -> None:
        self._profile = profile
        self._max_block = MAX_READ_WORDS if profile.status == "eclor" else profile.max_block
        self._fitted = frozenset(indexes)
        self._model = model
        self._cells = _layout(profile)
        self._readable = {function: _readable(profile, function) for function in self._cells}
        self._identity = _identity(profile)

    def holds(self, function: Function, address: int) -> bool:
        """Whether the address belongs to this map."""
        identify = self._profile.identify
        told = identify is not None and (function, address) == (identify.function, identify.address)
        return told or address in self._readable.get(function, frozenset())

    def read(self, function: Function, address: int, count: int) -> list[int]:
        if (told := self._identity.get((function, address, count))) is not None:
            return list(told)
        self._check_read(function, address, count)
        cells = self._cells[function]
        snapshot: dict[int, Mapping[str, Value]] = {}
        encoded: dict[tuple[str, int], list[int]] = {}
        reply = [0] * count
        for place in range(count):
            for cell in cells.get(address + place, ()):
                key = (cell.point.name, cell.index)
                if key not in encoded:
                    encoded[key] = self._words(cell, snapshot)
                reply[place] |= encoded[key][cell.word]
        return reply

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        writes = list(self._decoded_writes(function, address, values))
        for point, index, value in writes:
            if index in self._fitted:
                self._model.write(index, point, value)

    def _words(self, cell: _Cell, snapshot: dict[int, Mapping[str, Value]]) -> list[int]:
        """All words of the cell's point; each device is asked once a request."""
        if cell.index not in self._fitted:
            return _not_available(cell.point)
        if cell.index not in snapshot:
            snapshot[cell.index] = self._model.values(cell.index)
        return _encoded(cell.point, snapshot[cell.index][cell.point.name])

    def _check_read(self, function: Function, address: int, count: int) -> None:
        if count > self._max_block or (self._profile.even_only and count % 2):
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


class SharedBank:
    """Several maps on one unit: the first one that holds an address answers for it."""

    def __init__(self, banks: Sequence[ProfileBank]) -> None:
        self._banks = banks

    def read(self, function: Function, address: int, count: int) -> list[int]:
        return self._at(function, address).read(function, address, count)

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        self._at(function, address).write(function, address, values)

    def _at(self, function: Function, address: int) -> ProfileBank:
        for bank in self._banks:
            if bank.holds(function, address):
                return bank
        raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS, f"{function} {address}")


def _identity(profile: Profile) -> dict[tuple[Function, int, int], list[int]]:
    """The read that asks a device what it is, and its answer; empty where the map has none."""
    identify = profile.identify
    if identify is None:
        return {}
    words = [identify.codes[0] if identify.codes else 0] + [0] * (identify.words - 1)
    if identify.texts:
        text = identify.texts[0].encode("ascii").ljust(2 * identify.words, b"\0")
        words = list(struct.unpack(f">{identify.words}H", text))
    return {(identify.function, identify.address, identify.words): words}


def _layout(profile: Profile) -> dict[Function, dict[int, tuple[_Cell, ...]]]:
    """The cells of every address; several bits of a register share one address."""
    layout: dict[Function, dict[int, tuple[_Cell, ...]]] = {}
    for point in profile.points:
        table = layout.setdefault(point.function, {})
        for index in range(profile.index_count):
            start = point.address_at(index)
            for word in range(point.words):
                present = table.get(start + word, ())
                table[start + word] = (*present, _Cell(point, index, word))
    return layout


def _readable(profile: Profile, function: Function) -> frozenset[int]:
    """The addresses that may be read: declared ones, gaps a reader may span, reserved tails."""
    points = [point for point in profile.points if point.function is function]
    declared = {
        point.address_at(index) + word
        for point in points
        for index in range(profile.index_count)
        for word in range(point.words)
    }
    tail = min(point.address for point in points) + profile.index_count * max(
        point.index_step for point in points
    )
    ordered = [*sorted(declared), max(tail, max(declared) + 1)]
    for left, right in itertools.pairwise(ordered):
        if right - left - 1 <= profile.max_gap:
            declared.update(range(left + 1, right))
    return frozenset(declared)


def _not_available(point: Point) -> list[int]:
    """What a place without a device reads: the map's sentinel, or nothing."""
    return registers.encode(point, None) if point.sentinels else [0] * point.words


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
