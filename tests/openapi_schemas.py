"""OpenAPI 3.0's schemas as JSON Schema 2020-12, and values held against them.

Unlike plain JSON Schema, objects are closed: a field that the document does not name is a breach.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

Json = dict[str, Any]

_KEPT = (
    "type", "format", "required", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems",
    "uniqueItems",
)  # fmt: skip


class Schemas:
    """The schemas that a document names (``components``). ``notes``: a pattern of field names that may stand in any
    object."""

    def __init__(self, components: Mapping[str, Json], notes: str = "") -> None:
        self._notes: Json = {notes: {}} if notes else {}
        self._validators: dict[tuple[str, ...], jsonschema_rs.Draft202012Validator] = {}
        definitions = {f"{name}.closed": self._plain(item, True) for name, item in components.items()}
        definitions |= {f"{name}.open": self._plain(item, False) for name, item in components.items()}
        self._registry = jsonschema_rs.Registry([("urn:contract", {"$defs": definitions})])

    def check(self, place: tuple[str, str], value: Any, schema: Json, *, plain: bool = True) -> None:
        """Hold ``value`` against ``schema``, which is always the same for one ``place``. :raises AssertionError: it
        breaks it. ``plain`` ``False``: it is JSON Schema already."""
        validator = self._validators.get(place)
        if validator is None:
            validator = self._validators[place] = jsonschema_rs.Draft202012Validator(
                self._plain(schema, True) if plain else schema,
                formats={"time": _is_time},
                validate_formats=True,
                registry=self._registry,
            )
        breaches = [
            f"{' '.join(place)} at {'/'.join(map(str, error.instance_path)) or 'top'}: {error.message[:400]}"
            for error in validator.iter_errors(value)
            if plain or error.instance is not None  # the second document does not say where null may stand
        ]
        assert not breaches, "\n".join(breaches)

    def _plain(self, schema: Json, closed: bool) -> Json:
        """An OpenAPI 3.0 schema as JSON Schema 2020-12; ``closed`` ones refuse fields that they do not name."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return {"$ref": f"urn:contract#/$defs/{name}.{'closed' if closed else 'open'}"}
        plain: Json = {name: schema[name] for name in _KEPT if name in schema}
        if isinstance(schema.get("enum"), list):
            plain["enum"] = schema["enum"]
        if "items" in schema:
            plain["items"] = self._plain(schema["items"], True)
        if "properties" in schema:
            plain["properties"] = {
                name: self._plain(part, True) for name, part in schema["properties"].items()
            }
        if isinstance(schema.get("additionalProperties"), dict):
            plain["additionalProperties"] = self._plain(schema["additionalProperties"], True)
        elif "additionalProperties" in schema:
            plain["additionalProperties"] = schema["additionalProperties"]
        branches = [(kind, schema[kind]) for kind in ("allOf", "anyOf", "oneOf") if kind in schema]
        alone = len(branches) == 1 and (branches[0][0] != "allOf" or len(branches[0][1]) == 1)
        passed_on = alone and "properties" not in schema
        for kind, parts in branches:
            plain[kind] = [self._plain(part, closed and passed_on) for part in parts]
        if closed and ("properties" in schema or (branches and not passed_on)):
            if "additionalProperties" not in schema:
                plain["unevaluatedProperties"] = False
            if self._notes:
                plain["patternProperties"] = self._notes
        if not schema.get("nullable"):
            return plain
        if "type" in plain and not branches:
            enum = {"enum": [*plain["enum"], None]} if "enum" in plain else {}
            return plain | {"type": [plain["type"], "null"]} | enum
        return {"anyOf": [plain, {"type": "null"}]}


def _is_time(value: str) -> bool:
    """OData's ``Edm.TimeOfDay``, which unlike RFC 3339's time has no offset."""
    return re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,12})?)?", value) is not None
