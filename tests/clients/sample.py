"""Values that fit a schema of the OpenAPI document, one for each: the plainest there is."""

from __future__ import annotations

from typing import Any

from tests.support.api_document import document

_TEXTS = {
    "date-time": "2031-03-03T10:00:00Z",
    "date": "2031-03-03",
    "time": "10:00:00",
    "uri": "https://example.org",
}


def sample(schema: dict[str, Any]) -> Any:
    """A value of the schema, with every property that it names."""
    if "$ref" in schema:
        return sample(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return next(value for value in schema["enum"] if value != "")
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return sample(schema[several][0])
    if "allOf" in schema:
        return sample(schema["allOf"][0])
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(one) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        parts = schema.get("prefixItems") or [schema.get("items", {"type": "string"})]
        return [sample(one) for one in parts] if schema.get("maxItems") != 0 else []
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
    if kind == "boolean":
        return True
    return _TEXTS.get(schema.get("format", ""), "x" * max(1, schema.get("minLength", 1)))
