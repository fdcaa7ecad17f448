"""Graph v1.0, as far as a calendar application needs it: the routes and what each answers.

Source: https://learn.microsoft.com/graph/api/resources/calendar and the pages of its methods. What is not there
answers as Graph answers for an unknown segment.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calendar_app.sandbox.grants import Grants
from calendar_app.sandbox.microsoft import ids, scopes
from calendar_app.sandbox.microsoft.delta import Delta, State
from calendar_app.sandbox.microsoft.error import GraphError, bad_request, denied, not_found
from calendar_app.sandbox.microsoft.events import Events
from calendar_app.sandbox.microsoft.graph_call import Answer, Call, Gate, Handler, endpoint, error_response
from calendar_app.sandbox.microsoft.mailboxes import COLORS, Calendar, Mailboxes, is_personal
from calendar_app.sandbox.microsoft.odata import EXTENDED, Options, value_at, words
from calendar_app.sandbox.microsoft.resource import Stored, Wishes, etag, resource
from calendar_app.sandbox.microsoft.rewriting import rewritten
from calendar_app.sandbox.microsoft.rules import ETAGS, PERSONAL, READ_SCOPE, REWRITES
from calendar_app.sandbox.microsoft.schedule import Schedules
from calendar_app.sandbox.microsoft.subscriptions import Subscriptions, invalid
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

_LIST = ("top", "skip", "select", "filter", "orderby", "expand", "count")
_EVENT = words(
    """
    id createdDateTime lastModifiedDateTime changeKey categories transactionId originalStartTimeZone
    originalEndTimeZone iCalUId reminderMinutesBeforeStart isReminderOn hasAttachments subject
    bodyPreview importance sensitivity isAllDay isCancelled isOrganizer responseRequested seriesMasterId
    showAs type webLink onlineMeetingUrl isOnlineMeeting onlineMeetingProvider allowNewTimeProposals
    isDraft hideAttendees recurrence onlineMeeting responseStatus body start end location locations
    attendees organizer originalStart cancelledOccurrences
    """
)
_CALENDAR = words(
    """
    id name color hexColor isDefaultCalendar changeKey canShare canViewPrivateItems canEdit
    allowedOnlineMeetingProviders defaultOnlineMeetingProvider isTallyingResponses isRemovable owner
    """
)
_USER = words(
    """
    businessPhones displayName givenName jobTitle mail mobilePhone officeLocation preferredLanguage
    surname userPrincipalName id
    """
)
_SETTINGS = words(
    """
    timeZone dateFormat timeFormat delegateMeetingMessageDeliveryOptions workingHours userPurpose
    language
    """
)
_ROOT = "https://graph.microsoft.com/v1.0/$metadata#"


class GraphApi:
    """The handlers; ``public_url`` is where links for people lead."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        events: Events,
        grants: Grants,
        subscriptions: Subscriptions,
        public_url: str,
        rules: Rules,
    ) -> None:
        self.mailboxes, self.events, self.grants = mailboxes, events, grants
        self.subscriptions, self.public_url, self.rules = subscriptions, public_url, rules
        self.delta, self.schedules = Delta(events), Schedules(mailboxes, events)
        self.gate = Gate()

    def routes(self) -> list[Route]:
        found = [
            Route(path, endpoint(handler, needed, self.grants, self.gate), methods=[method])
            for method, path, needed, handler in self._table
        ]
        return [
            *found,
            Route("/{path:path}", self._unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    @cached_property
    def _table(self) -> list[tuple[str, str, frozenset[str], Handler]]:
        read, write = scopes.READ, scopes.WRITE
        table: list[tuple[str, str, frozenset[str], Handler]] = [
            ("GET", "/me", scopes.PROFILE, self.me),
            ("GET", "/me/mailboxSettings", scopes.SETTINGS, self.settings),
            ("GET", "/me/calendars", scopes.LIST, self.calendars),
            ("POST", "/me/calendars", write, self.add_calendar),
            ("GET", "/me/calendar", scopes.LIST, self.calendar),
            ("GET", "/me/calendars/{calendar}", scopes.LIST, self.calendar),
            ("POST", "/me/calendar/getSchedule", read, self.schedule),
            ("POST", "/me/calendars/{calendar}/getSchedule", read, self.schedule),
            ("POST", "/subscriptions", read, self.subscribe),
            ("GET", "/subscriptions", read, self.list_subscriptions),
            ("GET", "/subscriptions/{subscription}", read, self.subscription),
            ("PATCH", "/subscriptions/{subscription}", read, self.renew),
            ("DELETE", "/subscriptions/{subscription}", read, self.unsubscribe),
            ("POST", "/subscriptions/{subscription}/reauthorize", read, self.reauthorize),
        ]
        for base in ("/me", "/me/calendar", "/me/calendars/{calendar}"):
            table += [
                ("GET", f"{base}/events", read, self.list_events),
                ("POST", f"{base}/events", write, self.add_event),
                ("GET", f"{base}/events/{{event}}", read, self.event),
                ("PATCH", f"{base}/events/{{event}}", write, self.change_event),
                ("DELETE", f"{base}/events/{{event}}", write, self.delete_event),
                ("GET", f"{base}/events/{{event}}/instances", read, self.instances),
                ("GET", f"{base}/calendarView", read, self.view),
                ("GET", f"{base}/calendarView/delta", read, self.changes),
                ("GET", f"{base}/calendarView/delta()", read, self.changes),
            ]
        return table

    async def _unknown(self, request: Request) -> Response:
        segment = str(request.path_params["path"]).split("/")[-1]
        error = bad_request(f"Resource not found for the segment '{segment}'.")
        return error_response(request, error, self.grants.store)

    # People

    def me(self, call: Call) -> Json:
        chosen = call.options(_USER, "select").select()
        return {"@odata.context": f"{_ROOT}users/$entity"} | _chosen(
            self.mailboxes.get(call.email).user(), chosen, keep=()
        )

    def settings(self, call: Call) -> Json:
        chosen = call.options(_SETTINGS, "select").select()
        return {"@odata.context": f"{_ROOT}users('me')/mailboxSettings"} | _chosen(
            self.mailboxes.get(call.email).settings(), chosen, keep=()
        )

    # Calendars

    def calendars(self, call: Call) -> Json:
        options = call.options(_CALENDAR, "top", "skip", "select", "filter", "orderby", "count")
        found = [row.resource() for row in self.mailboxes.calendars(call.email)]
        return self._listing(call, options, found, "calendars")

    def add_calendar(self, call: Call) -> Answer:
        given = call.body if isinstance(call.body, dict) else {}
        name, color = given.get("name"), given.get("color", "auto")
        if (
            not isinstance(name, str)
            or not name.strip()
            or color not in COLORS
            or set(given) - {"name", "color"}
        ):
            raise bad_request("A calendar needs a name, and may have a color.", "ErrorInvalidRequest")
        if name in (row.name for row in self.mailboxes.calendars(call.email)):
            raise GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")
        return Answer(
            201, self.mailboxes.add_calendar(self.mailboxes.get(call.email), name, color).resource()
        )

    def calendar(self, call: Call) -> Json:
        chosen = call.options(_CALENDAR, "select").select()
        return _chosen(self._calendar(call).resource(), chosen, keep=("id",))

    def schedule(self, call: Call) -> Json:
        self._calendar(call)
        if self._limited(call):
            raise denied()
        return {
            "@odata.context": f"{_ROOT}Collection(microsoft.graph.scheduleInformation)",
            "value": self.schedules.answer(call.email, call.body, call.wishes),
        }

    # Events

    def list_events(self, call: Call) -> Json:
        return self._events(call, self.events.listed(self._calendar(call)))

    def view(self, call: Call) -> Json:
        return self._events(call, self.events.view(self._calendar(call), *call.window()))

    def instances(self, call: Call) -> Json:
        master = self._event(call)
        if master.kind != "master":
            raise bad_request(
                "Your request can't be completed. Only a series has instances.", "ErrorInvalidRequest"
            )
        return self._events(call, self.events.instances(master, *call.window()))

    def event(self, call: Call) -> Answer:
        options = call.options(_EVENT, "select", "expand")
        return self._shown(call, self.events.read(self._event(call)), options=options)

    def add_event(self, call: Call) -> Answer:
        made = self.events.insert(self._calendar(call), call.body)
        answer = self._shown(call, made, status=201)
        self._exchange_touches(made)
        place = f"{call.place.rpartition('/me/')[0]}/me/events/{ids.shown(made.id)}"
        return Answer(201, answer.body, (*answer.headers, ("Location", place)))

    def change_event(self, call: Call) -> Answer:
        self._event(call)
        shown_id = call.request.path_params["event"]
        changed = self.events.patch(call.email, shown_id, call.body, call.if_match)
        answer = self._shown(call, changed)
        self._exchange_touches(changed)
        return answer

    def delete_event(self, call: Call) -> None:
        self._event(call)
        self.events.delete(call.email, call.request.path_params["event"], call.if_match)

    def changes(self, call: Call) -> Json:
        names = {name.lower() for name, _ in call.query}
        refused = names & {f"${name}" for name in (*_LIST, "search")}
        if refused:
            raise bad_request(
                "The following parameters are not supported with change tracking over the 'CalendarView' resource: "
                f"'{', '.join(sorted(refused))}'.",
                "ErrorInvalidUrlQuery",
            )
        options = Options.of(call.query, (), ("skiptoken", "deltatoken"))
        if self._limited(call) and "calendar" in call.request.path_params:
            raise bad_request("Resource not found for the segment 'delta'.")
        calendar = self._calendar(call)
        state = self._state(call, calendar, options)
        wishes = call.wishes
        body, after = self.delta.page(
            calendar, state, call.page_size(options), wishes, self._show(call.email, wishes)
        )
        finished = after.after == after.until
        name, token = ("$deltatoken", "@odata.deltaLink") if finished else ("$skiptoken", "@odata.nextLink")
        link = f"{call.place}?{name}={self.delta.token(after)}"
        return {"@odata.context": f"{_ROOT}Collection(event)", **body, token: link}

    def _state(self, call: Call, calendar: Calendar, options: Options) -> State:
        if token := options.given.get("deltatoken"):
            return self.delta.resume(calendar, token, finished=True)
        if token := options.given.get("skiptoken"):
            return self.delta.resume(calendar, token, finished=False)
        return self.delta.begin(calendar, *call.window())

    # Subscriptions

    async def subscribe(self, call: Call) -> Answer:
        grant = self.grants.find("access", call.token)
        if READ_SCOPE in self.rules and (grant is None or "Calendars.Read" not in grant.scopes):
            raise denied()
        resource = str(call.body.get("resource")) if isinstance(call.body, dict) else ""
        if self._limited(call) and "/calendars" in resource:
            raise invalid(f"Invalid 'resource' attribute: '{resource}'.")
        made = await self.subscriptions.create(
            call.email,
            call.body,
            immutable=call.wishes.immutable,
            authorized_until=self._token_ends(call),
        )
        return Answer(201, {"@odata.context": f"{_ROOT}subscriptions/$entity"} | made)

    def list_subscriptions(self, call: Call) -> Json:
        found = self.subscriptions.listed(call.email)
        return {"@odata.context": f"{_ROOT}subscriptions", "value": found}

    def subscription(self, call: Call) -> Json:
        return self.subscriptions.get(call.email, call.request.path_params["subscription"])

    async def renew(self, call: Call) -> Json:
        return await self.subscriptions.update(
            call.email,
            call.request.path_params["subscription"],
            call.body,
            authorized_until=self._token_ends(call),
        )

    def reauthorize(self, call: Call) -> None:
        own, until = call.request.path_params["subscription"], self._token_ends(call)
        self.subscriptions.reauthorize(call.email, own, authorized_until=until)

    def unsubscribe(self, call: Call) -> None:
        self.subscriptions.delete(call.email, call.request.path_params["subscription"])

    def _token_ends(self, call: Call) -> int:
        """When the caller's access token ends, in milliseconds since the epoch."""
        grant = self.grants.known("access", call.token)
        return (grant and grant.expires) or 0

    # What they share

    def _limited(self, call: Call) -> bool:
        """Whether the mailbox has less of Exchange than those of organizations."""
        return PERSONAL in self.rules and is_personal(call.email)

    def _exchange_touches(self, event: Stored) -> None:
        if event.kind not in ("single", "master"):
            return
        if REWRITES in self.rules:
            self.events.touch(event, rewritten(event.body))
        elif ETAGS in self.rules:
            self.events.touch(event)

    def _calendar(self, call: Call) -> Calendar:
        named = call.request.path_params.get("calendar")
        return (
            self.mailboxes.calendar(call.email, named)
            if named
            else self.mailboxes.default_calendar(call.email)
        )

    def _event(self, call: Call) -> Stored:
        """The event of the path; below a calendar, only if it lies there."""
        found = self.events.get(call.email, call.request.path_params["event"])
        if (
            "/calendar" in call.request.url.path.rpartition("/me")[2]
            and found.calendar != self._calendar(call).id
        ):
            raise not_found()
        return found

    def _show(self, email: str, wishes: Wishes) -> Any:
        mailbox = self.mailboxes.get(email)
        return lambda event: resource(event, mailbox, wishes, self.public_url)

    def _shown(
        self, call: Call, event: Stored, *, status: int = 200, options: Options | None = None
    ) -> Answer:
        found = self._show(call.email, call.wishes)(event)
        if options is not None:
            found = _extended(found, event, options.expanded())
            found = _chosen(found, options.select(), keep=("id", "@odata.etag", EXTENDED))
        return Answer(status, found, (("ETag", etag(event)),))

    def _events(self, call: Call, events: Iterable[Stored]) -> Json:
        options = call.options(_EVENT, *_LIST)
        show, wanted, test = self._show(call.email, call.wishes), options.expanded(), options.filter()
        utc = self._show(call.email, Wishes(immutable=call.wishes.immutable))
        if test is not None:
            events = [
                event for event in events if test(utc(event) | {EXTENDED: event.body[EXTENDED]})
            ]  # times are compared in UTC, whatever the preference
        found = [_extended(show(event), event, wanted) for event in events]
        return self._listing(call, options, found, "events", filtered=True)

    def _listing(
        self, call: Call, options: Options, found: list[Json], name: str, *, filtered: bool = False
    ) -> Json:
        test = None if filtered else options.filter()
        found = [item for item in found if test is None or test(item)]
        for path, descending in reversed(options.order()):
            found.sort(key=lambda item, path=path: str(value_at(item, path)), reverse=descending)  # type: ignore[misc]
        skip, size, chosen = options.number("skip", 0), call.page_size(options), options.select()
        page = [
            _chosen(item, chosen, keep=("id", "@odata.etag", EXTENDED)) for item in found[skip : skip + size]
        ]
        answer: Json = {"@odata.context": f"{_ROOT}users('{call.email}')/{name}"}
        if options.counts():
            answer["@odata.count"] = len(found)
        answer["value"] = page
        if skip + size < len(found):
            answer["@odata.nextLink"] = call.link(**{"$top": str(size), "$skip": str(skip + size)})
        return answer


def _chosen(item: Json, names: frozenset[str] | None, *, keep: tuple[str, ...]) -> Json:
    if names is None:
        return item
    return {name: value for name, value in item.items() if name in names or name in keep}


def _extended(item: Json, event: Stored, wanted: list[str]) -> Json:
    found = [part for part in event.body[EXTENDED] if part["id"].lower() in wanted]
    return item | {EXTENDED: found} if found else item
