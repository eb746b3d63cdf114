"""`eclor provision import|export|render-config`: whole documents."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.provision.output import print_json
from cli.provision.session import RemoteName, Session, UsageFault

if TYPE_CHECKING:
    from cloud.registry.client import ApiError
    from cloud.registry.files import Source

PROGRESS_BYTES = 262_144
"""A longer document shows how far it is."""


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--dry-run", is_flag=True, help="Check and say what would change; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def import_file(session: Session, file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Import FILE (.toml or .csv): all of it, or nothing and every fault.

    Importing a file again changes nothing. What is not in the file stays as it is.

    Example: eclor provision import territory.toml --dry-run
    """
    from cloud.registry.client import ApiError, encode_document

    source = _read(file)
    chunks = encode_document(source.document)
    with session.client() as client:
        try:
            # With faults of our own the rest is checked all the same: all are told at once.
            result = client.import_document(_sent(chunks), dry_run=dry_run or bool(source.faults))
        except ApiError as exc:
            if exc.status != 422:
                raise
            raise UsageFault(_faults(file, source, exc)) from exc
    if source.faults:
        raise UsageFault(_faults(file, source, None))
    if as_json:
        print_json(result)
    else:
        _print_result(result)


@click.command("export")
@click.option("--territory", help="Only this territory.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["toml", "csv", "json"]),
    default="toml",
    show_default=True,
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write."
)
@click.pass_obj
def export(session: Session, *, territory: str | None, form: str, output: Path | None) -> None:
    """Print the registry, in a form that `import` takes.

    Example: eclor provision export -o territory.toml
    """
    import json

    from cloud.registry.files import write_csv, write_toml

    with session.client() as client:
        document = client.export_document(territory)
    match form:
        case "toml":
            text = write_toml(document)
        case "csv":
            text = write_csv(document)
        case _:
            text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    _write(text, output)


@click.command("render-config")
@click.argument("gateway", type=RemoteName("gateways"))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write."
)
@click.pass_obj
def render_config(session: Session, gateway: str, *, output: Path | None) -> None:
    """Print the configuration file of a gateway's agent.

    Example: eclor provision render-config cab-centre-1 -o edge.toml && eclor edge check edge.toml
    """
    from cloud.registry.client import path_of

    with session.client() as client:
        text = client.text(path_of("gateways", gateway) + "/config")
    _write(text, output)


def _read(file: Path) -> "Source":
    from cloud.registry.files import Unreadable, read

    if file.suffix.lower() not in (".toml", ".csv"):
        raise UsageFault(f"{file}: name a .toml or a .csv file")
    try:
        return read(file.read_text(encoding="utf-8-sig"), suffix=file.suffix.lower())
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageFault(f"{file} cannot be read: {exc}") from exc
    except Unreadable as exc:
        raise UsageFault(f"{file} {exc}") from exc


def _sent(chunks: Sequence[bytes]) -> Iterator[bytes]:
    """The document's bytes; a long one shows a bar on a terminal's standard error."""
    if not sys.stderr.isatty() or sum(map(len, chunks)) < PROGRESS_BYTES:
        yield from chunks
        return
    with click.progressbar(chunks, label="sending", file=sys.stderr) as bar:
        yield from bar
    click.echo("checking and writing ...", err=True)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageFault(f"{output} cannot be written: {exc.strerror or exc}") from exc


def _faults(file: Path, source: "Source", exc: "ApiError | None") -> str:
    """Every fault: file, place, key, value, what is wrong, what to do."""
    found = [(fault.pointer, fault) for fault in source.faults]
    found += [(source.place(fault.pointer), fault) for fault in exc.faults] if exc else []
    lines = [f"{file}: {place}: {fault}" for place, fault in found]
    more = f" ({exc})" if exc else ""
    return "\n".join([*lines, f"nothing was imported{more}"])


def _print_result(result: dict[str, Any]) -> None:
    marks = {"created": "+", "updated": "~"}
    for change in result["changes"]:
        keys = f"  ({', '.join(change['keys'])})" if change["action"] == "updated" else ""
        click.echo(f"{marks[change['action']]} {change['record']}{keys}")
    more = result["created"] + result["updated"] - len(result["changes"])
    if more > 0:
        click.echo(f"... and {more} more")
    said = "would be " if result["dry_run"] else ""
    click.echo(
        f"{said}created: {result['created']}, {said}updated: {result['updated']}, "
        f"unchanged: {result['unchanged']}"
    )
