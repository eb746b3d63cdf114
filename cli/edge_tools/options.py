"""What the tools share: their options, their settings, and manners beside a running agent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge.config import BusSettings, EdgeConfig
    from edge.presence import Presence

FILE = click.Path(path_type=Path, dir_okay=False)
CONFIG = click.option(
    "--config", "file", type=FILE, required=True, help="Settings of the gateway, TOML."
)


SERVICE_STATE_DIR = Path("/var/lib/eclor")
"""StateDirectory of config/systemd/eclor-edge.service."""


class EdgeFault(click.ClickException):
    """Something the user can repair; exit code 2."""

    exit_code = 2


def settings(file: Path) -> EdgeConfig:
    """The settings in `file` as an engineer's shell sees them, or every fault and exit code 2."""
    from edge.config import load
    from edge.errors import ConfigFaults

    try:
        return load(file, in_service=False)
    except ConfigFaults as exc:
        raise EdgeFault(f"settings cannot be used\n{exc}") from exc


def beside_agent(config: EdgeConfig, buses: Sequence[BusSettings], *, force: bool) -> None:
    """Say so, or refuse, where an agent works on the same lines.

    Two masters on a serial line garble each other's frames. A TCP gateway often takes one
    connection only: then either this tool or the agent is refused.
    """
    from edge.presence import Presence

    found = _found(config)
    if found is Presence.ABSENT:
        return
    serial = [bus.name for bus in buses if bus.serial is not None]
    if found is Presence.RUNNING and serial and not force:
        raise click.ClickException(
            f"the agent of {config.gateway.id} runs and holds the line {', '.join(serial)}: two "
            "masters garble each other. Remedy: systemctl stop eclor-edge, or --force"
        )
    says = "runs" if found is Presence.RUNNING else "may run (its lock cannot be read; try as root)"
    click.echo(
        f"warning: the agent of {config.gateway.id} {says}. Many gateways take one connection "
        "only: this one may be refused, or cost the agent polls",
        err=True,
    )


def state_dirs(config: EdgeConfig) -> tuple[Path, Path]:
    """Where an agent may be: the settings' own state directory, and the one of the service."""
    return config.gateway.state_dir, SERVICE_STATE_DIR


def _found(config: EdgeConfig) -> Presence:
    """The first agent there is."""
    from edge.presence import Presence, presence

    own, service = state_dirs(config)
    found = presence(own)
    return presence(service) if found is Presence.ABSENT else found
