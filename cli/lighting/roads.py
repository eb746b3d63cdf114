"""`eclor lighting segment`: the roads of lighting groups, singly and as a file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from cli.lighting.options import Failure, as_json, reaching
from cli.provision.output import print_json, print_table

if TYPE_CHECKING:
    from cli.provision.session import Session

SECTION = "segments"
Settings = dict[str, Any]


@click.group()
def segment() -> None:
    """Describe roads, and see the classes that follow.

    What is known of a road: class parameters, designed class, ageing, over-lighting, sizes.

    The lighting class at high, moderate and low traffic, and the level of each, follow from it.
    """


@segment.command("list")
@reaching
@as_json
def list_(*, session: Session, as_json: bool) -> None:
    """List the roads of all groups.

    Classes and levels are those of high, moderate and low traffic, today.

    \b
    Example:
      eclor lighting segment list
    """
    items = _roads(session)
    if as_json:
        print_json(items)
        return
    columns = ("territory", "group", "norm", "designed", "classes", "levels_pct", "limits")
    print_table(columns, [_row(item) for item in items])


@segment.command()
@reaching
@click.argument("group")
@as_json
def show(*, session: Session, group: str, as_json: bool) -> None:
    """Show the road of GROUP, and its classes today.

    \b
    Example:
      eclor lighting segment show rue-haute
    """
    with session.client() as client:
        found = client.read(_path(group))
    if as_json:
        print_json(found)
        return
    click.echo(_toml(group, _given(found["settings"])))
    click.echo(f"norm: {found['norm']}")
    click.echo(f"to be checked against a bought copy: {', '.join(found['to_check'])}")
    left, factor = found["light_left"], found["maintenance_factor"]
    click.echo(f"light left of new, clean lamps: {left:g} (design ends at {factor:g})")
    if found["cleaning_due_on"] is not None:
        click.echo(f"cleaning due on {found['cleaning_due_on']}")
    for limit in found["limits"]:
        kept = "kept" if limit["kept"] else "NOT KEPT"
        click.echo(f"{limit['name']}: {limit['value']:g}, French limit {limit['limit']:g}: {kept}")
    columns = ("traffic", "lighting_class", "level_pct", "terms")
    print_table(columns, [[row[column] for column in columns] for row in found["classes"]])


@segment.command("import")
@reaching
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--dry-run", is_flag=True, help="Check and say what would change; change nothing.")
def import_file(*, session: Session, file: Path, dry_run: bool) -> None:
    """Describe the roads in FILE (TOML).

    Every fault is told before anything is sent. A file has one [[segments]] a road, with `group`
    and what is known. Importing a file again changes nothing; what is not in the file stays as it
    is.

    \b
    Example:
      eclor lighting segment import roads.toml --dry-run
    """
    wanted = dict(_checked(file, _read(file)))
    present = {name: road for road in _roads(session) for name in _names(road)}
    if unknown := sorted(wanted.keys() - present.keys()):
        raise Failure(f"{file}: no lighting group is called {', '.join(unknown)}")
    changed = {name: new for name, new in wanted.items() if _settings(present[name]) != new}
    if not dry_run:
        with session.client() as client:
            for name, settings in changed.items():
                client.put(_path(name), settings, replace=True)
    for name in changed:
        click.echo(f"{'~' if present[name]['segment'] else '+'} {name}")
    said = "would be " if dry_run else ""
    click.echo(f"{said}described: {len(changed)}, unchanged: {len(wanted) - len(changed)}")


@segment.command()
@reaching
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File.")
def export(*, session: Session, output: Path | None) -> None:
    """Print the described roads, in a form that `import` takes.

    \b
    Example:
      eclor lighting segment export -o roads.toml
    """
    described = [road for road in _roads(session) if road["segment"]]
    text = "\n".join(
        _toml(f"{road['territory']}.{road['group']}", _given(road["segment"]["settings"]))
        for road in described
    )
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise Failure(f"{output}: {exc.strerror}; name a file that can be written") from exc


@segment.command()
@reaching
@click.argument("group")
@click.option(
    "--set",
    "given",
    metavar="KEY=VALUE",
    multiple=True,
    help="As designed_class=M4 or parameters.parked=yes; a word or TOML; repeatable.",
)
@click.option("--unset", metavar="KEY", multiple=True, help="Forget a key; repeatable.")
def edit(*, session: Session, group: str, given: Sequence[str], unset: Sequence[str]) -> None:
    """Change what is known of a road.

    Without options in your editor.

    \b
    Examples:
      eclor lighting segment edit rue-haute --set parameters.parked=yes --set ramp_s=120
      eclor lighting segment edit rue-haute --unset over_lighting
      eclor lighting segment edit rue-haute
    """
    with session.client() as client:
        before = client.read(_path(group))["settings"]
        known = _given(before)
        wanted = _with(known, given, unset) if given or unset else _edited(group, known)
        after = _complete(wanted)
        if after == before:
            click.echo("nothing changed")
            return
        made = client.put(_path(group), after, replace=True)
    levels = ", ".join(f"{c['lighting_class']} {c['level_pct']:g} %" for c in made["classes"])
    click.echo(f"{group}: {levels}")


@segment.command()
@reaching
@click.argument("group")
def remove(*, session: Session, group: str) -> None:
    """Forget the road of GROUP: it has its plain levels again.

    \b
    Example:
      eclor lighting segment remove rue-haute
    """
    with session.client() as client:
        client.delete(_path(group))
    click.echo(f"the road of {group} is not described any more")


def _roads(session: Session) -> list[dict[str, Any]]:
    with session.client() as client:
        found: list[dict[str, Any]] = client.read("/lighting/segments")["items"]
    return found


def _row(item: Mapping[str, Any]) -> list[object]:
    road = item["segment"]
    if road is None:
        return [item["territory"], item["group"], *[None] * 5]
    settings, classes = road["settings"], road["classes"]
    return [
        item["territory"],
        item["group"],
        settings["norm"],
        settings["designed_class"],
        "/".join(row["lighting_class"] for row in classes),
        "/".join(f"{row['level_pct']:g}" for row in classes),
        ", ".join(_limit(one) for one in road["limits"]) or None,
    ]


def _limit(one: Mapping[str, Any]) -> str:
    return f"{one['name']} {one['value']:g} {'<=' if one['kept'] else 'OVER'} {one['limit']:g}"


def _names(road: Mapping[str, Any]) -> tuple[str, str]:
    return road["group"], f"{road['territory']}.{road['group']}"


def _settings(road: Mapping[str, Any]) -> Settings | None:
    return None if road["segment"] is None else dict(road["segment"]["settings"])


def _read(file: Path) -> list[Settings]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise Failure(f"{file}: {exc}") from exc
    records = found.get(SECTION)
    if set(found) != {SECTION} or not isinstance(records, list):
        raise Failure(f"{file}: write one [[{SECTION}]] a road, with its `group`, and nothing else")
    return records


def _checked(file: Path, records: Sequence[Settings]) -> Iterator[tuple[str, Settings]]:
    """Name and complete settings of every record; all faults at once."""
    faults: list[str] = []
    found: dict[str, Settings] = {}
    for number, record in enumerate(records, 1):
        name = record.get("group")
        where = f"{file}: [[{SECTION}]] {number}"
        if not isinstance(name, str) or not name:
            faults.append(f"{where}: group is missing; name the lighting group")
            continue
        if name in found:
            faults.append(f"{where}: group {name!r} stands there twice")
        try:
            found[name] = _complete({key: v for key, v in record.items() if key != "group"})
        except Failure as exc:
            faults.append(f"{where} ({name}): {exc.message}")
    if faults:
        raise Failure("\n".join([*faults, "nothing was sent"]))
    yield from found.items()


def _complete(settings: Settings) -> Settings:
    """Every key in the stored form; Failure names the field and the fault."""
    from cloud.lighting.norm import NormError
    from cloud.lighting.segment import as_settings, parse

    try:
        return dict(as_settings(parse(settings)))
    except NormError as exc:
        raise Failure(str(exc)) from exc


def _given(settings: Mapping[str, Any]) -> Settings:
    """Without the keys that say nothing."""
    return {key: value for key, value in settings.items() if value is not None}


def _toml(group: str, settings: Mapping[str, Any]) -> str:
    from cloud.registry import toml

    tidy = {key: _tidy(value) for key, value in settings.items()}
    return toml.table(SECTION, {"group": group, **tidy}, array=True)


def _tidy(value: object) -> object:
    """TOML has no null."""
    match value:
        case dict():
            return {key: _tidy(entry) for key, entry in value.items() if entry is not None}
        case list():
            return [_tidy(entry) for entry in value]
    return value


def _with(before: Settings, given: Sequence[str], unset: Sequence[str]) -> Settings:
    after = {
        key: dict(value) if isinstance(value, dict) else value for key, value in before.items()
    }
    for word in given:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {word}: write KEY=VALUE, as designed_class=M4")
        table, key = _place(after, name)
        table[key] = _value(text)
    for name in unset:
        table, key = _place(after, name)
        if key not in table:
            raise click.UsageError(f"--unset {name}: it is not set")
        del table[key]
    return after


def _place(settings: Settings, name: str) -> tuple[Settings, str]:
    """The table that `name` (`a` or `a.b`) stands in, and its key there."""
    outer, dot, key = name.rpartition(".")
    if not dot:
        return settings, key
    table = settings.setdefault(outer, {})
    if not isinstance(table, dict):
        raise click.UsageError(f"{name}: {outer} is not a table")
    return table, key


def _value(text: str) -> object:
    """TOML where it is, else the word itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _edited(group: str, before: Settings) -> Settings:
    text = click.edit(_toml(group, before), extension=".toml")
    if text is None:
        return before
    try:
        (record,) = tomllib.loads(text)[SECTION]
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError) as exc:
        raise Failure(
            f"nothing was changed: what was written is not one [[{SECTION}]]: {exc}"
        ) from exc
    return {key: value for key, value in record.items() if key != "group"}


def _path(group: str) -> str:
    return f"/lighting/groups/{quote(group, safe='')}/segment"
