"""Half an hour with a real account: what to do and what to look at, for whoever first has credentials of a provider.

Our stand-ins and our providers were written by the same people, so a belief that both share shows only here. The list
follows what the provider can do (capability flags); what is particular to one vendor stands in :data:`_ABOUT`.
``docs/providers.md`` holds the beliefs themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from calendar_app.errors import NotFound
from calendar_app.providers import registry
from calendar_app.providers.base import Capability, ProviderKind, SignIn
from calendar_app.settings import current_settings, get_settings


@dataclass(frozen=True, slots=True)
class Step:
    """``do`` and ``look`` are sentences: what to do, and what to see then."""

    minutes: int
    title: str
    do: tuple[str, ...]
    look: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _About:
    """``revoke``: how a person ends our access, unless the registry says where; else what only this vendor has to show,
    by step."""

    revoke: str = ""
    connect: tuple[str, ...] = ()
    change: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    move: tuple[str, ...] = ()


_ABOUT = {
    "google": _About(
        "End the access at https://myaccount.google.com/connections.",
        connect=(
            "An event that repeats weekly, and one of a whole day, stand where they do in Google.",
            "Channels say “Open”. “Not granted” with push.webhookUrlUnauthorized: verify the domain (README).",
            "A calendar that is hidden in Google's own list is listed here, too.",
        ),
        write=("“Jane <jane@example.org>” in the description is whole, and a link in it is no surprise.",),
        move=("The colour of the event stays as you set it.",),
    ),
    "microsoft": _About(
        connect=(
            "A work account may need its administrator: the page says so and offers the address to send to them.",
            "Try a personal account as well: its calendars are read, pushed or polled, and nobody sees an error.",
        ),
        change=("Later, when the access token has ended (an hour), a change is still seen within seconds.",),
        write=("Nobody was sent a meeting request by Exchange.",),
    ),
    "calendly": _About(
        "End the access in Calendly, where Integrations & apps lists what is connected.",
        connect=("Channels say “Open”; a plan without webhooks is named there.",),
        change=("Channels do not say “Not believed”: else set CALENDLY_WEBHOOK_KEY (README).",),
    ),
    "caldav": _About(
        "Take the app password back, on the page on which you made it.",
        connect=(
            "The e-mail address alone is enough for iCloud, Fastmail and Yahoo; others need the server's.",
            "Write down the server and its version.",
        ),
        write=("The server sent no e-mail of its own to the customer.",),
    ),
}


def lines(provider: str) -> list[str]:
    """The list for a provider's key, as it is printed. :raises NotFound: there is none for it."""
    about = _ABOUT.get(provider)
    if about is None:
        raise NotFound(f"There is a list for {', '.join(sorted(_ABOUT))}.")
    kind = registry.kind(provider)
    steps = list(_steps(kind, about))
    total = sum(step.minutes for step in steps)
    found = [f"{kind.title}: the first {total} minutes with a real account", ""]
    found += [f"  {line}" for line in _before(kind)]
    for number, step in enumerate(steps, 1):
        found += ["", f"{number}. {step.title} ({step.minutes} minutes)"]
        found += [f"   - {sentence}" for sentence in step.do]
        found += [f"   [ ] {sentence}" for sentence in step.look]
    found += [
        "",
        "What is otherwise than it says here, or than docs/providers.md has it: keep the line of the log (it names",
        "status and reason, and no secret), and correct that page.",
    ]
    return found


def _before(kind: ProviderKind) -> Iterator[str]:
    """What has to be there first, by the settings of this installation."""
    site = current_settings().public_url
    if kind.missing:
        yield f"Not set: {', '.join(kind.missing)} (README, “Connect real accounts”)."
    if get_settings().sandbox:
        yield "This installation talks to the sandbox: start without it to meet the real provider."
    if kind.sign_in is SignIn.OAUTH:
        yield f"Redirect URI, to the letter: {site}/api/v1/connections/{kind.key}/callback"
    if Capability.PUSH in kind.capabilities and urlsplit(site).scheme != "https":
        yield f"BASE_URL is {site}: pushes come to public https addresses only, so changes will be polled."
    yield "Take a second address at another provider for the customer, one whose mail and calendar you can open."


def _steps(kind: ProviderKind, about: _About) -> Iterator[Step]:
    title, can = kind.title, kind.capabilities
    yield Step(
        5,
        "Connect",
        (f"Calendars → Connect {title}, and agree to everything that is asked for.",),
        (
            "The account is “connected”, with its calendars, their colours and time zones.",
            "The dashboard shows the next days' events at the right hours.",
            *about.connect,
        ),
    )
    how = "within seconds" if Capability.PUSH in can else "within POLL_MINUTES"
    seen = ("Operations → Channels names a last push of just now.",) if Capability.PUSH in can else ()
    made = "Have somebody book you" if Capability.APPOINTMENTS in can else "Make an event for tomorrow"
    yield Step(
        6,
        "See a change",
        (f"{made} at {title} itself. Leave the dashboard open; then move it there, then take it away.",),
        (f"Each of the three shows on the dashboard {how}, without a reload.", *seen, *about.change),
    )
    yield Step(
        2,
        "Ask once more before a booking",
        (
            f"Open a booking page and choose a time; before you confirm, take that time at {title}; then confirm.",
        ),
        ("The time is refused as taken, even if the dashboard had not shown it yet.",),
    )
    if Capability.WRITE in can:
        yield from _writing(title, about)
    elif Capability.APPOINTMENTS in can:
        yield Step(
            3,
            "Call off",
            (f"Call off an appointment of {title}'s in this application.",),
            (f"It is cancelled at {title}, whose customer was told by {title}, and the time is free here.",),
        )
    written = (
        "A booking made now is confirmed, and its receipt says what it waits for.",
        "After connecting again the event is written by itself, once.",
    )
    pushed = ("After connecting again Operations → Channels says “Open”.",)
    yield Step(
        6,
        "Revoke",
        (
            about.revoke or f"End the access at {kind.access_page}.",
            "Then wait for the next reading, at most POLL_MINUTES; look; and connect the account again.",
        ),
        (
            "The account says “needs reconnect”, with a banner and one e-mail; other accounts go on.",
            *(written if Capability.WRITE in can else ()),
            *(pushed if Capability.PUSH in can else ()),
        ),
    )


def _writing(title: str, about: _About) -> Iterator[Step]:
    yield Step(
        5,
        "Write",
        (
            "Book on the booking page, with the customer's address, and read the e-mail in the customer's mailbox.",
        ),
        (
            f"The event stands at {title} once, with the customer's name and address in it, and without guests.",
            "Bookings shows the receipt as verified.",
            "The customer's own calendar has the appointment once: the one of the e-mail. Look again in ten minutes.",
            *about.write,
        ),
    )
    yield Step(
        6,
        "Move and cancel",
        (
            "Move the booking by the link in the customer's e-mail.",
            f"Then drag its event at {title} to another hour, and look under Bookings.",
            "Then cancel the booking.",
        ),
        (
            "The event moved, and so did the customer's entry: still one of each.",
            "The dragged event shows as an external change, and the workspace's rule was followed.",
            "After cancelling neither the event nor the customer's entry is left.",
            *about.move,
        ),
    )
