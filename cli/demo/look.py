"""What the terminal shows, asked of the API as any client would, and of the gateways' stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.demo import ledger
from cli.demo.stage import Stage
from cloud.registry.client import RegistryClient


@dataclass(frozen=True, slots=True)
class GatewayView:
    """One gateway: rows in the database, rows that wait on the gateway, whether live data came."""

    name: str
    stored: int
    waiting: int
    live: bool


@dataclass(frozen=True, slots=True)
class View:
    """One look at the whole; groups and waits as the API gives them."""

    gateways: Sequence[GatewayView]
    groups: Sequence[Mapping[str, Any]]
    savings_pct: Mapping[str, float | None]
    waits: Sequence[Mapping[str, Any]]

    @property
    def live(self) -> bool:
        """Whether live data of every gateway are in the database."""
        return all(gateway.live for gateway in self.gateways)

    @property
    def waiting(self) -> int:
        return sum(gateway.waiting for gateway in self.gateways)


def look(stage: Stage) -> View:
    """Ask everything once."""
    with RegistryClient(stage.api_url, stage.key) as client:
        groups = client.read("/lighting/groups")["items"]
        return View(
            gateways=[
                _gateway(client, name, ledger.waiting_rows(outbox))
                for name, outbox in zip(stage.gateways, stage.outboxes, strict=True)
            ],
            groups=groups,
            savings_pct={group["id"]: _saving_pct(client, group) for group in groups},
            waits=client.read("/waits")["items"],
        )


def savings(stage: Stage, days: float) -> Mapping[str, Any] | None:
    """The report of what lighting saved over the whole nights of the past days; None: there is no
    whole night yet."""
    if days < 1:
        return None
    with RegistryClient(stage.api_url, stage.key) as client:
        report = client.read(f"/lighting/report?nights={int(days)}")
    return report if any(group["nights"] for group in report["groups"]) else None


def _gateway(client: RegistryClient, name: str, waiting: int) -> GatewayView:
    found = client.read(f"/gateways/{name}/ledger")
    live = any(stream["lane"] == "live" and stream["stored"] for stream in found["streams"])
    return GatewayView(name, found["stored"], waiting, live)


def _saving_pct(client: RegistryClient, group: Mapping[str, Any]) -> float | None:
    """Of the last night that was metered well enough, against the declared baseline."""
    slug = f"{group['territory']}.{group['id']}"
    nights = client.read(f"/lighting/groups/{slug}/energy")["nights"]
    return next((n["saving_pct"] for n in reversed(nights) if n["complete"]), None)
