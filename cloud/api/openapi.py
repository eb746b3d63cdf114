"""The OpenAPI document: what the framework derives, and what it cannot know."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from cloud.api.problems import MEDIA_TYPE, FaultForm, ProblemForm

_DESCRIPTION = """\
Everything that Eclor knows about a territory: its gateways and devices, what they measured, the
lighting plans and the waits.

Errors are problem documents (RFC 9457). Times are UTC. Lists are paged by a cursor. Registry
objects carry an ETag; `If-Match` refuses lost updates.
"""


def describe(app: FastAPI) -> None:
    """Replace `app.openapi` by one that also documents errors."""
    derive = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = derive()
            document["info"]["description"] = _DESCRIPTION
            document["info"]["license"] = {"name": "EUPL-1.2", "identifier": "EUPL-1.2"}
            _add_problems(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to extend it


def _add_problems(document: dict[str, Any]) -> None:
    """The problem schemas, and problem documents in place of the framework's own error form."""
    _, definitions = models_json_schema(
        [(ProblemForm, "serialization"), (FaultForm, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemForm"}}}
    for operations in document["paths"].values():
        for operation in operations.values():
            _name_examples(operation.get("parameters", []))
            responses = operation["responses"]
            if "422" in responses:
                responses["422"] = {"description": "Invalid request", "content": problem}
            _show(responses, schemas)
            responses["default"] = {"description": "Any other error", "content": problem}


def _name_examples(parameters: list[dict[str, Any]]) -> None:
    """An example for each name in a path that its route gives none."""
    for parameter in parameters:
        schema = parameter["schema"]
        if parameter["in"] == "path" and not schema.keys() & {"examples", "$ref"}:
            schema["examples"] = [_NAMES.get(parameter["name"], example_of(schema, {}))]


_NAMES = {"group": "rue-du-centre", "facility": "recyclerie-nord", "key_id": "5d1f0c3a9b7e"}


def _show(responses: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """An example of each JSON answer, from the examples of its fields."""
    for status, response in responses.items():
        form = response.get("content", {}).get("application/json")
        if status.startswith("2") and form and "schema" in form and "example" not in form:
            form["example"] = example_of(form["schema"], schemas)


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of this schema: what it gives as an example, else the plainest it allows."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return example_of(schema[key][0], schemas)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: example_of(field, schemas) for name, field in fields.items()}
        case "array":
            parts = schema.get("prefixItems") or [schema.get("items", {})]
            return [example_of(part, schemas) for part in parts]
        case "string":
            return _TEXTS.get(schema.get("format", ""), "text")
        case other:
            return {"integer": 0, "number": 0.0, "boolean": True}.get(other or "")


_TEXTS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "uuid": "5b0c1e9e-2f3a-4c58-9f0e-6d8f8f3b7a11",
}
