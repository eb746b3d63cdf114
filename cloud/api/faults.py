"""One thing wrong with what somebody gave us; kept apart so that commands import no web stack."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Where (a JSON pointer, a parameter or a place in a file), what was given, what to do."""

    pointer: str
    key: str
    value: object
    fault: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.key} = {self.value!r}: {self.fault}{remedy}"
