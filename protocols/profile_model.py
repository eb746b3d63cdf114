"""A device's register map as values: points, their layout, and what each one feeds.

Read from TOML by `protocols.profile`; turned into numbers by `protocols.registers`.
"""

import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from protocols.quantities import Kind

ByteOrder = Literal["big", "little"]
Curve = Literal["dali", "schneider-pf"]


class Function(enum.StrEnum):
    """The Modbus table a point lives in (Modbus application protocol 1.1b3, 4.3)."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def read_code(self) -> int:
        """Function code of a read: 1, 2, 3 or 4."""
        return _READ_CODE[self]

    @property
    def is_bits(self) -> bool:
        """Whether the table holds single bits rather than 16-bit registers."""
        return self in (Function.COIL, Function.DISCRETE)


_READ_CODE = {
    Function.COIL: 1,
    Function.DISCRETE: 2,
    Function.HOLDING: 3,
    Function.INPUT: 4,
}


class RegisterType(enum.StrEnum):
    """How the words of a point are read."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    UINT64 = "uint64"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BIT = "bit"  # a coil, a discrete input, or one bit of a register
    BITFIELD = "bitfield"  # the register as it is, each bit a flag
    STRING = "string"  # two ASCII characters a word, padded with NUL
    BCD16 = "bcd16"  # four decimal digits
    BCD32 = "bcd32"  # eight decimal digits
    M10K = "m10k"  # 0..9999 a register, four decimal digits each
    SM10K = "sm10k"  # -9999..9999 a register, each with the sign of the whole

    @property
    def words(self) -> int:
        """Registers the type occupies; 0 where the map declares how many."""
        return _WORDS[self]

    @property
    def is_m10k(self) -> bool:
        """Whether a register holds a digit to the base 10,000."""
        return self in (RegisterType.M10K, RegisterType.SM10K)

    @property
    def is_float(self) -> bool:
        return self in (RegisterType.FLOAT32, RegisterType.FLOAT64)

    @property
    def is_signed(self) -> bool:
        return self in (
            RegisterType.INT16,
            RegisterType.INT32,
            RegisterType.INT64,
            RegisterType.SM10K,
        )

    @property
    def is_bcd(self) -> bool:
        return self in (RegisterType.BCD16, RegisterType.BCD32)

    @property
    def is_number(self) -> bool:
        """Whether scale and offset apply."""
        return self not in (RegisterType.BIT, RegisterType.BITFIELD, RegisterType.STRING)


_WORDS = {
    RegisterType.UINT16: 1,
    RegisterType.INT16: 1,
    RegisterType.UINT32: 2,
    RegisterType.INT32: 2,
    RegisterType.UINT64: 4,
    RegisterType.INT64: 4,
    RegisterType.FLOAT32: 2,
    RegisterType.FLOAT64: 4,
    RegisterType.BIT: 1,
    RegisterType.BITFIELD: 1,
    RegisterType.STRING: 0,
    RegisterType.BCD16: 1,
    RegisterType.BCD32: 2,
    RegisterType.M10K: 0,
    RegisterType.SM10K: 0,
}


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity of a device: where it is, how it is coded, what it feeds.

    `value = curve(raw) * scale + offset`, in `unit`. `column` names the column of the profile's
    kind that the value feeds, already in the column's unit; `flag` is the mask (1, 2, 4, ...)
    that a `bit` sets in a FLAGS column, while a `bitfield` feeds the whole column. `integral`
    values are rounded to whole numbers because their column holds whole numbers: counters never
    become floats. `sentinels` are raw patterns, unsigned, that mean "not available". A raw counter
    wraps at `counter_bits` binary or `counter_digits` decimal digits. `bit` is the bit of the
    register that a `bit` point of a register table reads, 0 the lowest.
    """

    name: str
    address: int
    function: Function
    type: RegisterType
    words: int = 1
    word_order: ByteOrder = "big"
    byte_order: ByteOrder = "big"
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    unit: str = ""
    sentinels: tuple[int, ...] = ()
    column: str | None = None
    flag: int | None = None
    index_step: int = 0
    counter_bits: int | None = None
    counter_digits: int | None = None
    writable: bool = False
    write_lo: float | None = None
    write_hi: float | None = None
    curve: Curve | None = None
    source: str = ""
    bit: int = 0
    integral: bool = False

    def address_at(self, index: int) -> int:
        """0-based address of the point for device `index` of an indexed profile."""
        return self.address + index * self.index_step

    @property
    def counter_modulus(self) -> int | None:
        """The value at which the counter starts again from 0, in `unit`; None: not declared."""
        if self.counter_bits is not None:
            return int(self.scale * 2**self.counter_bits)
        if self.counter_digits is not None:
            return int(self.scale * 10**self.counter_digits)
        return None


@dataclass(frozen=True, slots=True)
class Identify:
    """`words` registers from `address` by which a device says what it is.

    The first is one of `codes`, or all of them are an ASCII text that begins as one of `texts`.
    """

    function: Function
    address: int
    words: int
    codes: tuple[int, ...]
    texts: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The register map of a device type.

    `max_block` registers (or bits) at most in one read; points less than or exactly `max_gap`
    undeclared registers apart may share a read; `even_only` devices refuse odd counts. An indexed
    profile (`index_count` > 1) describes that many like devices behind one Modbus unit.
    `status` says who vouches for the map: `official` (the maker publishes it), `unofficial`
    (third parties do), `eclor` (ours, documented in docs/formats).
    """

    name: str
    title: str
    kind: Kind
    points: tuple[Point, ...]
    max_block: int
    max_gap: int
    even_only: bool
    index_count: int
    status: str
    source: str
    notes: tuple[str, ...] = ()
    identify: Identify | None = None

    def point(self, name: str) -> Point:
        """The point called `name`; KeyError names the points there are."""
        for point in self.points:
            if point.name == name:
                return point
        known = ", ".join(point.name for point in self.points)
        raise KeyError(f"profile {self.name} has no point {name!r}; it has {known}")


@dataclass(frozen=True, slots=True)
class ProfileFault:
    """One thing to repair in a profile file. `value` is None where the key is missing."""

    file: str
    key: str
    value: object
    remedy: str

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {_shown(self.value)}"
        return f"{self.file}: {self.key}{given}: {self.remedy}"


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)


class ProfileError(ValueError):
    """A profile that cannot be used; `faults` holds every fault found, in file order.

    `file`, `key`, `value` and `remedy` are those of the first fault.
    """

    def __init__(self, faults: tuple[ProfileFault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
        self.file = faults[0].file
        self.key = faults[0].key
        self.value = faults[0].value
        self.remedy = faults[0].remedy
