"""Faults of the simulator.

SimulatorError
├── ScenarioError      a territory, profile or option that cannot be simulated; tell the user
└── RequestRefusedError     a Modbus request that the device answers with an exception
"""

import enum


class SimulatorError(Exception):
    """Root of the package's errors."""


class ScenarioError(SimulatorError):
    """A scenario that cannot be simulated; the message names the part and the remedy."""


class ExceptionCode(enum.IntEnum):
    """Modbus exception codes (application protocol 1.1b3, section 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    TARGET_SILENT = 11  # a gateway's answer for a unit that does not answer


class RequestRefusedError(SimulatorError):
    """The device refuses the request; `code` goes back to the client."""

    def __init__(self, code: ExceptionCode, reason: str) -> None:
        super().__init__(f"{code.name.lower()}: {reason}")
        self.code = code
