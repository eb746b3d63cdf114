"""What can go wrong in the cloud roles.

CloudError
+- Retriable                 a dependency is away; the same call may succeed later
|  +- DatabaseUnavailable
|  +- BrokerUnavailable
|  +- RollupsBusy            another session sums up or drops, and went on doing so
+- SettingsError             the user's configuration; carries every fault
+- BackupError               a backup or restore cannot be made
+- MigrationError            the database and this program do not fit together
+- BrokerRefused             the broker is there and says no; repeating does not help
+- UnknownGateway            a command names a gateway that the registry does not have
+- UnknownTerritory          the registry has no such territory
"""

from collections.abc import Sequence
from dataclasses import dataclass


class CloudError(Exception):
    """Root of the tree; its message is fit for a user's eyes."""


class Retriable(CloudError):  # noqa: N818 - says what to do, not what happened
    """Wait and try again; a daemon does, a one-shot command exits 1 with the message."""


class DatabaseUnavailable(Retriable):
    """The database cannot be reached or went away."""


class BrokerUnavailable(Retriable):
    """The broker cannot be reached or went away."""


class RollupsBusy(Retriable):
    """Another session has held the lock of the rollups for longer than one may wait."""


class BrokerRefused(CloudError):  # noqa: N818 - stands beside BrokerUnavailable
    """The broker refused a connection, a subscription or a publication; see the reason."""


class MigrationError(CloudError):
    """Migrations cannot be applied; the message says which file and what to do."""


class UnknownGateway(CloudError):  # noqa: N818 - stands beside AddressTaken
    """There is no gateway of the name that was given."""


class BackupError(CloudError):
    """A backup or a restore cannot be made; the message says why and what to do."""


class AddressTaken(CloudError):  # noqa: N818 - stands beside BrokerRefused
    """The API cannot listen on its address."""


class UnknownTerritory(CloudError):  # noqa: N818 - stands beside BrokerRefused
    """A command names a territory that the registry does not have."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"no territory is called {slug!r}; eclor provision lists those there are")
        self.slug = slug


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the configuration: where, what was found, what to do."""

    source: str  # a file, or "environment"
    key: str
    value: object
    remedy: str

    def __str__(self) -> str:
        return f"{self.source}: {self.key} = {self.value!r}: {self.remedy}"


class SettingsError(CloudError):
    """Every fault of the configuration at once, in `faults`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
