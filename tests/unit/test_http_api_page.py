"""The page of the HTTP API and the OpenAPI document: every route, scope, error and example."""

import re
from pathlib import Path
from typing import Any

import pytest

from cloud.api.app import create_app
from cloud.settings import Settings

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/http-api.md").read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_page_lists_every_route_with_its_scope() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \| (?:`(\w+)`|–) \| (.*) \|$", PAGE, re.MULTILINE)
    listed = {(method, path): scope for method, path, scope, _ in rows}
    for _, path, _, text in rows:
        if "also `PUT` and `DELETE`" in text:
            listed[("PUT", path)] = listed[("DELETE", path)] = "provision"
    served = {}
    for method, path, operation in _operations():
        scopes = [scope for entry in operation.get("security", []) for scope in entry["key"]]
        served[(method, path)] = scopes[0] if scopes else ""
    assert listed == served


def test_the_page_lists_every_problem() -> None:
    code = "\n".join(path.read_text() for path in ROOT.glob("cloud/**/*.py"))
    raised = set(re.findall(r'Problem\(\s*\d+,\s*"([a-z-]+)"', code))
    raised |= set(re.findall(r'answer\(request, \d+, "([a-z-]+)"', code))
    assert len(raised) > 10
    section = PAGE.partition("## Errors")[2].partition("## Limits")[0]
    assert raised - set(re.findall(r"`([a-z-]+)`", section)) == set()


@pytest.mark.parametrize(("method", "path", "operation"), _operations())
def test_every_operation_shows_how_it_is_asked_and_answered(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    assert operation["description"], "the docstring of the route"
    for parameter in operation.get("parameters", []):
        if parameter["required"]:
            schema = parameter["schema"]
            shown = [parameter.get("example"), schema.get("examples"), schema.get("enum")]
            assert any(shown) or "$ref" in schema, parameter["name"]
    for form in operation.get("requestBody", {}).get("content", {}).values():
        schema = form["schema"]
        assert form.get("example") or schema.keys() & {
            "$ref",
            "description",
            "examples",
            "oneOf",
            "anyOf",
        }
    for status, response in operation["responses"].items():
        form = response.get("content", {}).get("application/json")
        if status.startswith("2") and form:
            assert form["example"] not in (None, {}, [])
