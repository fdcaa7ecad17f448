"""JSON interface below ``/sandbox/api``: to every stand-in alike, and to the fault switches (:mod:`.faults`).

=======  ======================================================  ===================================================
method   path                                                    what
=======  ======================================================  ===================================================
GET      ``state``                                               ``{"sequence": n}``: grows with every change
GET      ``{provider}/accounts``                                 ``{"items": […]}``: accounts, calendars, next events
POST     ``{provider}/calendars/{calendar}/events``              ``{"title", "start", "end"}`` (RFC 3339): adds one
PATCH    ``{provider}/calendars/{calendar}/events/{event}``      ``{"title"}`` or ``{"start"}``: renames, moves
DELETE   ``{provider}/calendars/{calendar}/events/{event}``      deletes it
PUT      ``{provider}/calendars/{calendar}/role``                ``{"role": "owner|reader|none"}``: what we may do
POST     ``{provider}/remove-access``                            ``{"account": e-mail}``
POST     ``{provider}/expire``                                   ``{"what": "tokens|sync|channels", "account": …}``
GET      ``{provider}/rules``                                    ``{"items": […]}``: :mod:`.rules`, on or off
PUT      ``{provider}/rules/{rule}``                             ``{"on": true|false}``
POST     ``{provider}/notice``                                   ``{"kind": name, "account": …}``: ``{"sent": n}``
=======  ======================================================  ===================================================

``expire`` is silent; ``notice`` is what Microsoft says about a subscription: ``missed``, ``reauthorizationRequired``,
or ``subscriptionRemoved``, which ends it. Without ``account`` it is everybody's. Errors are ``{"error": sentence}``
with 400 or 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calendar_app.sandbox.fault_operations import PROVIDERS, operations
from calendar_app.sandbox.faults import Faults, fault_from, kinds
from calendar_app.sandbox.pages import json_endpoint
from calendar_app.sandbox.rules import rules_of
from calendar_app.sandbox.stand_in import FOR_PROGRAMS, StandIn, let_expire, send_notice, set_role

Json = dict[str, Any]
Handler = Callable[[Request, Json], Any]

_REFUSALS = (KeyError, ValueError, TypeError)


class StandInControl:
    """The handlers; see the module's table."""

    def __init__(self, stand_ins: Mapping[str, StandIn], faults: Faults, sequence: Callable[[], int]) -> None:
        self.stand_ins, self.faults, self.sequence = stand_ins, faults, sequence

    def routes(self) -> list[Route]:
        """To stand before routes that would take ``/{provider}/…`` for their own."""
        events = "/{provider}/calendars/{calendar}/events"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/state", lambda _r, _b: {"sequence": self.sequence()}),
            ("GET", "/faults", lambda _r, _b: self._faults()),
            ("POST", "/faults", lambda _r, b: (201, self.faults.switch_on(fault_from(b)).json())),
            ("DELETE", "/faults", lambda _r, _b: self.faults.switch_off()),
            ("DELETE", "/faults/{fault}", lambda r, _b: self.faults.switch_off(r.path_params["fault"])),
            ("GET", "/{provider}/accounts", lambda r, _b: self._accounts(r)),
            ("POST", events, self._add),
            ("PATCH", f"{events}/{{event}}", self._change),
            ("DELETE", f"{events}/{{event}}", self._delete),
            ("PUT", "/{provider}/calendars/{calendar}/role", self._set_role),
            ("POST", "/{provider}/remove-access", self._remove_access),
            ("POST", "/{provider}/expire", self._expire),
            ("POST", "/{provider}/notice", self._notice),
            ("GET", "/{provider}/rules", lambda r, _b: {"items": rules_of(self._of(r)).all()}),
            ("PUT", "/{provider}/rules/{rule}", self._switch_rule),
        ]
        return [
            Route(path, json_endpoint(handler, _REFUSALS, _refusal), methods=[method])
            for method, path, handler in table
        ]

    def _faults(self) -> Json:
        return {
            "items": [switch.json() for switch in self.faults.all()],
            "kinds": {provider: kinds(provider) for provider in PROVIDERS},
            "operations": {provider: operations(provider) for provider in PROVIDERS},
        }

    def _of(self, request: Request) -> StandIn:
        return self.stand_ins[request.path_params["provider"]]

    def _accounts(self, request: Request) -> Json:
        return {"items": [asdict(account) for account in self._of(request).accounts(FOR_PROGRAMS)]}

    def _add(self, request: Request, body: Json) -> Any:
        start, end = _moment(body, "start"), _moment(body, "end")
        title = str(body.get("title", ""))
        return 201, {"id": self._of(request).add_event(request.path_params["calendar"], title, start, end)}

    def _change(self, request: Request, body: Json) -> None:
        ids = request.path_params["calendar"], request.path_params["event"]
        if "title" in body:
            self._of(request).rename_event(*ids, str(body["title"]))
        if "start" in body:
            self._of(request).move_event(*ids, _moment(body, "start"))

    def _delete(self, request: Request, _body: Json) -> None:
        self._of(request).delete_event(request.path_params["calendar"], request.path_params["event"])

    def _set_role(self, request: Request, body: Json) -> None:
        set_role(self._of(request), request.path_params["calendar"], str(body.get("role", "")))

    def _remove_access(self, request: Request, body: Json) -> None:
        self._of(request).remove_access(str(body.get("account", "")))

    def _expire(self, request: Request, body: Json) -> None:
        let_expire(self._of(request), str(body.get("what", "")), str(body.get("account") or ""))

    def _notice(self, request: Request, body: Json) -> Json:
        kind, account = str(body.get("kind", "")), str(body.get("account") or "")
        return {"sent": send_notice(self._of(request), kind, account)}

    def _switch_rule(self, request: Request, body: Json) -> None:
        if not isinstance(body.get("on"), bool):
            raise ValueError("on must be true or false.")
        rules_of(self._of(request)).switch(request.path_params["rule"], on=body["on"])


def _moment(body: Json, name: str) -> datetime:
    moment = datetime.fromisoformat(str(body.get(name, "")))
    if moment.tzinfo is None:
        raise ValueError(f"{name} needs an offset from UTC.")
    return moment


def _refusal(error: Exception) -> Response:
    if isinstance(error, KeyError):
        return JSONResponse({"error": f"There is no such thing: {error.args[0]}"}, 404)
    return JSONResponse({"error": str(error)}, 400)
