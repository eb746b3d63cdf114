"""Where a device refuses to be read is found by halving, and planned around from then on."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.bus.holes import REMEMBER_S, Hole, HoleMap, around, between, halves, split
from protocols.profile import Function, Point, RegisterType
from protocols.registers import ReadBlock


def points(*addresses: int, words: int = 1) -> tuple[tuple[Point, int], ...]:
    kind = RegisterType.UINT16 if words == 1 else RegisterType.UINT32
    return tuple(
        (Point(f"p{address}", address, Function.INPUT, kind, words), 0) for address in addresses
    )


def block(*addresses: int, words: int = 1) -> ReadBlock:
    members = points(*addresses, words=words)
    start, end = addresses[0], addresses[-1] + words
    return ReadBlock(Function.INPUT, start, end - start, members)


def spans(blocks: list[ReadBlock]) -> list[tuple[int, int]]:
    return [(part.address, part.address + part.count) for part in blocks]


def test_a_hole_parts_only_the_reads_that_span_it() -> None:
    whole = block(0, 1, 2, 10, 11)
    assert spans(split(whole, [Hole(Function.INPUT, 3, 10)])) == [(0, 3), (10, 12)]
    assert spans(split(whole, [Hole(Function.HOLDING, 3, 10)])) == [(0, 12)]
    assert spans(split(whole, [Hole(Function.INPUT, 20, 30)])) == [(0, 12)]
    assert spans(split(whole, [Hole(Function.INPUT, 1, 1)])) == [(0, 1), (1, 12)]


def test_a_point_that_is_refused_is_read_by_itself() -> None:
    assert spans(split(block(0, 1, 2), [around(block(1))])) == [(0, 1), (1, 2), (2, 3)]


def test_points_that_share_registers_are_never_parted() -> None:
    bits = tuple(
        (Point(f"b{bit}", 7, Function.INPUT, RegisterType.BIT, bit=bit), 0) for bit in (0, 1)
    )
    shared = ReadBlock(Function.INPUT, 7, 1, bits)
    assert halves(shared) is None
    assert split(shared, [Hole(Function.INPUT, 7, 7)]) == [shared]


def test_the_border_between_two_readable_halves_is_the_hole() -> None:
    parts = halves(block(0, 2, 8, 10, words=2))
    assert parts is not None
    assert spans(list(parts)) == [(0, 4), (8, 12)]
    assert between(*parts) == Hole(Function.INPUT, 4, 8)


def _found(whole: ReadBlock, gaps: set[int]) -> list[Hole]:
    """Halve as the bus does, against a device without the registers `gaps`."""

    def readable(part: ReadBlock) -> bool:
        return gaps.isdisjoint(range(part.address, part.address + part.count))

    if readable(whole):
        return []
    parts = halves(whole)
    if parts is None:
        return [around(whole)]
    below = [hole for part in parts for hole in _found(part, gaps)]
    return below or [between(*parts)]


@given(st.sets(st.integers(0, 60), min_size=2, max_size=30), st.sets(st.integers(0, 60)))
def test_turn_by_turn_every_readable_point_is_read_in_the_fewest_reads(
    addresses: set[int], gaps: set[int]
) -> None:
    whole = block(*sorted(addresses))
    holes: list[Hole] = []
    parts = [whole]
    for _ in range(len(addresses) + 1):
        parts = split(whole, holes)
        new = [hole for part in parts for hole in _found(part, gaps) if hole not in holes]
        if not new:
            break
        holes += new
    read = {
        point.address
        for part in parts
        if gaps.isdisjoint(range(part.address, part.address + part.count))
        for point, _ in part.points
    }
    assert read == addresses - gaps
    ordered = sorted(addresses)
    fewest = 1 + sum(
        any(gap in gaps for gap in range(here, there + 1)) for here, there in pairwise(ordered)
    )
    assert len(parts) == fewest


def test_holes_are_forgotten_after_a_day_and_versions_tell() -> None:
    known, hole = HoleMap(), Hole(Function.INPUT, 3, 10)
    assert known.learn("meter", [hole], 0.0) == 1
    assert known.learn("meter", [hole], 5.0) == 0
    version = known.version
    assert known.of("meter", REMEMBER_S - 1) == [hole]
    assert known.of("lamp", 0.0) == []
    assert known.of("meter", REMEMBER_S + 1) == []
    assert known.version > version
