"""What the real Google does and this stand-in only on demand (:mod:`calendar_app.sandbox.rules`)."""

from __future__ import annotations

from calendar_app.sandbox.rules import Rule

UNVERIFIED_DOMAIN = "unverified_domain"
NO_INVITATIONS = "no_invitations"
HTML_DESCRIPTIONS = "html_descriptions"
HIDDEN_CALENDARS = "hidden_calendars"
PURGED_IDS = "purged_ids"
NO_REVIVAL = "no_revival"
TESTING = "testing"
NO_MEET = "no_meet"
MEET_LATER = "meet_later"
MEET_NEVER = "meet_never"
MEET_FAILS = "meet_fails"
MEET_REFUSED = "meet_refused"

RULES = {
    # The reason is what clients of Calendar and Drive look at; the push guide names none.
    UNVERIFIED_DOMAIN: Rule(
        "Pushes are refused with 401, because the domain of their address is not verified.", strict=False
    ),
    # https://knowledge.workspace.google.com/admin/calendar/avoid-calendar-use-limits
    NO_INVITATIONS: Rule(
        "Calendar usage limits are reached: whoever invites somebody from outside is refused with quotaExceeded.",
        strict=False,
    ),
    # https://developers.google.com/workspace/calendar/api/v3/reference/events ("Can contain HTML")
    HTML_DESCRIPTIONS: Rule("Descriptions are HTML: what stands in angle brackets and is no markup is lost."),
    # https://developers.google.com/workspace/calendar/api/v3/reference/calendarList/list (showHidden)
    HIDDEN_CALENDARS: Rule("Calendars beside the primary one are hidden in their owner's list."),
    # https://developers.google.com/workspace/calendar/api/v3/reference/events#id: ids of deleted events stay taken;
    # how long a deleted event can be read or brought back is not documented.
    PURGED_IDS: Rule("Deleted events can no longer be read, but their ids stay taken.", strict=False),
    # https://developers.google.com/identity/protocols/oauth2#expiration, and .../web-server#time-based-access
    TESTING: Rule(
        "The application is in testing: new grants end after seven days, and every answer with tokens says when.",
        strict=False,
    ),
    # https://developers.google.com/workspace/calendar/api/guides/create-events#conferencing: "the data is generated
    # asynchronously"
    MEET_LATER: Rule(
        "A Meet conference is still being made when its event is written, and the next time it is read."
    ),
    MEET_NEVER: Rule("Meet conferences are never made, and nothing says so.", strict=False),
    MEET_FAILS: Rule("Meet conferences are not made, and the event says so some time later.", strict=False),
    # googleapis/google-api-nodejs-client issue 3234
    MEET_REFUSED: Rule(
        "Events that ask for a Meet conference are refused with 400, though the calendar lists Meet.",
        strict=False,
    ),
    NO_MEET: Rule("Calendars can make no Meet conferences.", strict=False),
    NO_REVIVAL: Rule(
        "Deleted events cannot be brought back: changing one is refused with 403.", strict=False
    ),
}
