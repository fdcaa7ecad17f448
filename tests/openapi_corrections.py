"""Where the providers' OpenAPI documents are wrong or silent, and what holds instead: one edit of the document each.

The documents and their known gaps: ``../shared/contracts/README.md``. Every correction names its source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Correction = Callable[[Json], None]
"""Edits a document in place."""

_EXTENDED_PROPERTIES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["id", "value"],
        "properties": {"id": {"type": "string"}, "value": {"type": "string"}},
    },
}


def _graph_extended_properties(document: Json) -> None:
    """Navigation properties were left out of the entities; these can be expanded, and written with an event
    (https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-post-singlevalueextendedproperties)."""
    for name in ("event", "event-create", "event-update", "calendar"):
        properties = document["components"]["schemas"][f"microsoft.graph.{name}"]["properties"]
        properties["singleValueExtendedProperties"] = _EXTENDED_PROPERTIES


def _graph_patch_answers(document: Json) -> None:
    """An update answers 200 with the entity (https://learn.microsoft.com/graph/api/event-update#response), not 204."""
    for path, item in document["paths"].items():
        if "patch" in item and "get" in item:
            item["patch"]["responses"] = {
                "200": item["get"]["responses"]["200"],
                **item["patch"]["responses"],
            }
            assert item["patch"]["responses"].pop("204"), path


def _graph_continuations(document: Json) -> None:
    """The opaque tokens in ``@odata.nextLink`` and ``@odata.deltaLink``
    (https://learn.microsoft.com/graph/delta-query-events, https://learn.microsoft.com/graph/paging)."""
    for path, item in document["paths"].items():
        if "get" in item:
            names = ("$skiptoken", "$deltatoken") if path.endswith("/delta") else ("$skiptoken",)
            text = {"in": "query", "schema": {"type": "string"}}
            item["get"].setdefault("parameters", []).extend({"name": name, **text} for name in names)


def _graph_instances(document: Json) -> None:
    """The occurrences of a series are asked for within a window, like a calendar view
    (https://learn.microsoft.com/graph/api/event-list-instances#query-parameters)."""
    for path, item in document["paths"].items():
        if path.endswith("/instances"):
            window = {"in": "query", "required": True, "schema": {"type": "string"}}
            item["get"]["parameters"].extend(
                {"name": name, **window} for name in ("startDateTime", "endDateTime")
            )


def _graph_instances(document: Json) -> None:
    """The window of ``instances`` is missing (https://learn.microsoft.com/graph/api/event-list-instances), which the
    calendar view has."""
    text = {"in": "query", "required": True, "schema": {"type": "string"}}
    for path, item in document["paths"].items():
        if path.endswith(("/instances", "/instances/delta")):
            parameters = item["get"].setdefault("parameters", [])
            parameters += [{"name": name, **text} for name in ("startDateTime", "endDateTime")]


def _graph_errors(document: Json) -> None:
    """The reference writes ``innerError`` (https://learn.microsoft.com/graph/errors), and 5xx have the same body."""
    error = document["components"]["schemas"]["error"]["properties"]["error"]
    error["properties"]["innerError"] = error["properties"]["innererror"]
    for item in document["paths"].values():
        for verb in item.keys() & {"get", "post", "patch", "delete"}:
            item[verb]["responses"]["5XX"] = {"$ref": "#/components/responses/error"}


def _graph_schedule_names(document: Json) -> None:
    """The metadata capitalises the action's parameters, the reference does not
    (https://learn.microsoft.com/graph/api/calendar-getschedule)."""
    for path, item in document["paths"].items():
        if path.endswith("/getSchedule"):
            schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
            named = schema["properties"]
            schema["properties"] = {name[0].lower() + name[1:]: part for name, part in named.items()}
            schema["required"] = ["schedules", "startTime", "endTime"]


def _graph_required(document: Json) -> None:
    """Marked required by the reference, but not in the metadata
    (https://learn.microsoft.com/graph/api/subscription-post-subscriptions#request-body)."""
    subscription = document["components"]["schemas"]["microsoft.graph.subscription-create"]
    subscription["required"] = ["changeType", "notificationUrl", "resource", "expirationDateTime"]


def _graph_person(document: Json) -> None:
    """The documents hold calendars and subscriptions only; these are the reference's user and mailboxSettings, as far
    as a calendar needs them (https://learn.microsoft.com/graph/api/user-get, .../user-get-mailboxsettings)."""
    text = {"type": "string", "nullable": True}
    names = (
        "displayName",
        "givenName",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
    )
    user = dict.fromkeys((*names, "surname", "userPrincipalName"), text)
    user |= {"id": {"type": "string"}, "businessPhones": {"type": "array", "items": {"type": "string"}}}
    settings: Json = dict.fromkeys(("archiveFolder", "timeZone", "dateFormat", "timeFormat"), text)
    settings |= {"delegateMeetingMessageDeliveryOptions": text, "automaticRepliesSetting": {"type": "object"}}
    settings |= {"language": {"type": "object"}, "userPurpose": text}
    settings["workingHours"] = {"$ref": "#/components/schemas/microsoft.graph.workingHours"}
    for path, properties in (("/me", user), ("/me/mailboxSettings", settings)):
        chosen = {"type": "array", "uniqueItems": True, "items": {"type": "string", "enum": [*properties]}}
        schema = {"type": "object", "properties": properties}
        document["paths"][path] = {
            "get": {
                "parameters": [{"name": "$select", "in": "query", "explode": False, "schema": chosen}],
                "responses": {
                    "200": {"content": {"application/json": {"schema": schema}}},
                    "4XX": {"$ref": "#/components/responses/error"},
                },
            }
        }


GRAPH_CORRECTIONS: tuple[Correction, ...] = (
    _graph_person,
    _graph_extended_properties,
    _graph_patch_answers,
    _graph_continuations,
    _graph_instances,
    _graph_errors,
    _graph_schedule_names,
    _graph_required,
)


def _calendly_rate_limit(document: Json) -> None:
    """Any call can answer 429 (https://developer.calendly.com/api-docs/edca8074633f8-api-rate-limits)."""
    for item in document["paths"].values():
        for verb in item.keys() & {"get", "post", "patch", "delete"}:
            schema = {"$ref": "#/components/schemas/ErrorResponse"}
            item[verb]["responses"]["429"] = {"content": {"application/json": {"schema": schema}}}


def _calendly_hosts(document: Json) -> None:
    """Hosts of an event come with address and name since 2023
    (https://developer.calendly.com/api-docs/calendly-api/scheduled-events/get-event)."""
    members = document["components"]["schemas"]["Event"]["properties"]["event_memberships"]
    members["items"]["properties"] |= {name: {"type": "string"} for name in ("user_email", "user_name")}


CALENDLY_CORRECTIONS: tuple[Correction, ...] = (_calendly_rate_limit, _calendly_hosts)
