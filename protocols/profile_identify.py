"""The [identify] table of a profile: registers by which a device says what it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.profile_fields import Fields
from protocols.profile_model import Function, Identify

_MAX_WORDS = 60
_MAX_ADDRESS = 0xFFFF


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device answered for itself, and whether that is the one meant."""

    shown: str
    matches: bool


def parse_identify(fields: Fields) -> Identify:
    """One [identify] table; faults go to `fields`."""
    codes = fields.integers("codes", lo=0, hi=0xFFFF)
    texts = fields.texts("texts")
    if bool(codes) == bool(texts):
        fields.fault("codes", "give either codes = [numbers] or texts = [beginnings]")
    identify = Identify(
        function=Function(fields.word("function", (Function.HOLDING, Function.INPUT))),
        address=fields.integer("address", lo=0, hi=_MAX_ADDRESS),
        words=fields.integer("words", lo=1, hi=_MAX_WORDS, default=1),
        codes=codes,
        texts=texts,
        source=fields.text("source"),
    )
    fields.refuse_unknown()
    return identify


def identity(identify: Identify, words: Sequence[int]) -> Identity:
    """What the registers say; texts compare by their beginning, without regard to case."""
    if identify.codes:
        return Identity(str(words[0]), words[0] in identify.codes)
    raw = b"".join(word.to_bytes(2, "big") for word in words)
    text = raw.rstrip(b"\0 ").decode("ascii", errors="replace").strip("\0 ")
    begins = tuple(beginning.casefold() for beginning in identify.texts)
    return Identity(text, text.casefold().startswith(begins))
