"""`eclor`: the command. Groups are imported when they are used: a gateway needs no cloud."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

_OURS = ("cli", "cloud", "edge", "firmware_sim", "protocols", "benchmarks")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a group is, what `eclor --help` says of it, and the extra that holds its packages."""

    module: str
    attribute: str
    help: str
    extra: str


GROUPS = {
    "bench": Entry("cli.bench", "bench", "Measure speed and size.", "demo"),
    "cloud": Entry("cli.cloud", "cloud", "Run ingest, API and jobs; migrate the store.", "cloud"),
    "demo": Entry("cli.demo", "demo", "Show a whole territory on this machine.", "demo"),
    "edge": Entry("cli.edge", "edge", "Run and check the agent of a gateway.", "edge"),
    "eval": Entry("cli.evaluate", "evaluate", "Evaluate the quality of results.", "demo"),
    "export": Entry("cli.export", "export", "Take readings, energy and places out.", "cloud"),
    "lighting": Entry("cli.lighting", "lighting", "See, order and account for light.", "cloud"),
    "provision": Entry("cli.provision", "provision", "Keep sites, gateways and devices.", "cloud"),
    "verify": Entry("cli.verify", "verify", "Check that nothing was lost.", "cloud"),
    "waiting": Entry("cli.waiting", "waiting", "See waits, close sites, count bays.", "cloud"),
    "sim": Entry("cli.sim", "sim", "Simulate devices, write their history and truth.", "sim"),
}


class MissingExtraError(click.ClickException):
    """A package that the command needs is not installed; exit code 2."""

    exit_code = 2

    def __init__(self, command: str, package: str, extra: str) -> None:
        super().__init__(
            f"'eclor {command}' needs the package {package}: pip install 'eclor[{extra}]'"
        )


class LazyGroup(click.Group):
    """A group whose commands are `GROUPS`: listed without import, imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = GROUPS.get(cmd_name)
        if entry is None:
            return None
        try:
            command = getattr(importlib.import_module(entry.module), entry.attribute)
        except ModuleNotFoundError as exc:
            raise _missing_extra(cmd_name, exc) from exc
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as exc:
            raise _missing_extra(ctx.invoked_subcommand, exc) from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: Sequence[tuple[str, str]] = [(name, GROUPS[name].help) for name in sorted(GROUPS)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _missing_extra(command: str | None, exc: ModuleNotFoundError) -> Exception:
    """What to tell the user about a missing package; a missing module of ours is our fault."""
    package = (exc.name or "").partition(".")[0]
    entry = GROUPS.get(command or "")
    if entry is None or package in _OURS:
        return exc
    return MissingExtraError(command or "", package, entry.extra)


@click.group(
    name="eclor",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  eclor edge check /etc/eclor/edge.toml
  eclor demo

\b
Completion of commands and options with the tab key:
  bash   eval "$(_ECLOR_COMPLETE=bash_source eclor)"    in ~/.bashrc
  zsh    eval "$(_ECLOR_COMPLETE=zsh_source eclor)"     in ~/.zshrc
  fish   _ECLOR_COMPLETE=fish_source eclor | source     in ~/.config/fish/config.fish

\b
Exit codes: 0 done, 1 it failed, 2 fault of usage or configuration.""",
)
@click.version_option(package_name="eclor")
def main() -> None:
    """Street lighting and recycling-centre waits for a territory."""
