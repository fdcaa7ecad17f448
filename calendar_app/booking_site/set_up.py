"""``/setup``: the first minutes of an installation, while nobody is here. A form over plain HTTP, as signing in is one;
once somebody is here, the page leads to the sign-in for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from calendar_app import translations
from calendar_app.booking_site import answers, words
from calendar_app.booking_site.forms import Field, Posted
from calendar_app.booking_site.visit import Visit
from calendar_app.errors import AlmanacError, Conflict, Forbidden, InvalidInput, NotFound, TooManyRequests
from calendar_app.services.accounts import passwords
from calendar_app.services.accounts.authentication import SESSION_COOKIE, SESSION_LIFE
from calendar_app.services.common.outages import DATABASE_AWAY
from calendar_app.services.installation import first_owner
from calendar_app.services.installation.first_owner import Answers, SetUpRefused
from calendar_app.settings import current_settings
from calendar_app.translations import zones

PATH = "/setup"
_HOME, _SIGN_IN = "/settings/calendars", "/login"
_SHOWN = ("code", "name", "email", "business", "slug", "address", "language", "timezone")
_LONGEST = 500
_AWAY: tuple[type[Exception], ...] = (AlmanacError, *DATABASE_AWAY)
router = APIRouter(include_in_schema=False)


@router.get(PATH)
def show(request: Request) -> Response:
    """The empty form, filled with what the browser tells."""
    visit = Visit.of(request)
    if not first_owner.is_needed():
        return answers.see_other(visit, _SIGN_IN)
    typed = {"language": visit.language.code, "address": _seen_address(request), "timezone": "UTC"}
    return _form(visit, typed, {})


@router.post(PATH)
def keep(request: Request, posted: Posted) -> Response:
    """Make the owner and sign them in; on a mistake the form again, with everything but the password."""
    visit = Visit.of(request)
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Forbidden(code="cross_site")
    given = {name: posted.get(name, "")[:_LONGEST] for name in (*_SHOWN, "password")}
    try:
        made = first_owner.set_up(
            given["code"],
            Answers(**{name: given[name] for name in Answers.__dataclass_fields__}),
            user_agent=request.headers.get("user-agent", ""),
            client=visit.client,
        )
    except NotFound:
        return answers.see_other(visit, _SIGN_IN)
    except SetUpRefused as error:
        return _form(
            visit, given, {name: _sentence(visit, name, code) for name, code in error.errors.items()}, 422
        )
    except InvalidInput as error:
        name = error.field if error.field in (*_SHOWN, "password") else "code"
        return _form(visit, given, {str(name): _sentence(visit, str(name), error.code)}, 422)
    except (TooManyRequests, Conflict) as error:
        return _form(visit, given, {}, error.status, trouble=words.of_error(visit, error))
    visit.remember(SESSION_COOKIE, made.token, seconds=int(SESSION_LIFE.total_seconds()), path="/")
    return answers.see_other(visit, _HOME)


def _form(
    visit: Visit, typed: Mapping[str, str], errors: Mapping[str, str], status: int = 200, *, trouble: str = ""
) -> Response:
    fixed = first_owner.address_from_environment()
    groups = _groups(visit, typed, errors, asks_address=not fixed)
    marked = [field for _, fields in groups for field in fields if field.error]
    return answers.page(
        visit,
        "set_up.html",
        status=status,
        secret=True,
        groups=groups,
        marked=marked,
        trouble=trouble,
        fixed=fixed,
        sends_mail=bool(current_settings().smtp_url.get_secret_value()),
    )


def _groups(
    visit: Visit, typed: Mapping[str, str], errors: Mapping[str, str], *, asks_address: bool
) -> list[tuple[str, list[Field]]]:
    _ = visit.language.gettext

    def field(name: str, label: str, kind: str = "text", **more: object) -> Field:
        return Field(
            name=name,
            label=label,
            kind=kind,
            value="" if name == "password" else typed.get(name, ""),
            error=errors.get(name, ""),
            **{"required": True, "most": 200, **more},  # type: ignore[arg-type]
        )

    address = field(
        "address",
        _("Address of this installation"),
        "url",
        required=False,
        hint=_(
            "Links in e-mails lead here, and providers send people back here. Your browser uses it right now."
        ),
    )
    return [
        (
            "",
            [
                field(
                    "code",
                    _("Code"),
                    most=40,
                    autocomplete="off",
                    hint=_("It was shown where the installation was started, and stands in its log."),
                )
            ],
        ),
        (
            _("You"),
            [
                field("name", _("Your name"), autocomplete="name", most=120),
                field("email", _("Email"), "email", autocomplete="email", most=320),
                field(
                    "password",
                    _("Password"),
                    "password",
                    autocomplete="new-password",
                    hint=_("At least %(number)s characters; a few unrelated words are easy to remember.")
                    % {"number": passwords.SHORTEST},
                ),
            ],
        ),
        (
            _("Your business"),
            [
                field("business", _("Business name"), autocomplete="organization", most=100),
                field(
                    "slug",
                    _("Short name in addresses"),
                    required=False,
                    most=48,
                    hint=_(
                        "Small letters, digits and hyphens, as in /book/your-business. Empty: made of the name."
                    ),
                ),
                field(
                    "language",
                    _("Language of your pages"),
                    "select",
                    options=tuple(translations.NAMES.items()),
                ),
                field("timezone", _("Time zone"), "select", options=_zone_options(typed.get("timezone", ""))),
            ],
        ),
        *([(_("Where people find you"), [address])] if asks_address else []),
    ]


def _zone_options(chosen: str) -> tuple[tuple[str, str], ...]:
    names = set(zones.all_current()) | {"UTC"}
    if current := zones.current(chosen):
        names.add(current)
    return tuple((name, name) for name in sorted(names))


def _sentence(visit: Visit, name: str, code: str) -> str:
    _ = visit.language.gettext
    known = {
        "code": _(
            "This is not the code that was shown at the start. The latest ten starts' codes are valid."
        ),
        "name": _("Please enter your name, in at most 200 characters."),
        "email": _("Please enter an e-mail address like name@example.com."),
        "password": _(
            "This password is too easy to guess. Use at least %(number)s characters, such as a few unrelated words."
        )
        % {"number": passwords.SHORTEST},
        "business": _("Please enter the name of your business, in at most 100 characters."),
        "slug": _("Use small letters, digits and hyphens only, or leave it empty."),
        "language": _("Please choose one of the options."),
        "timezone": _("Please choose one of the options."),
        "address": _("Please enter an address like https://calendar.example.com, without a path."),
    }
    if code == "email_taken":
        return _("There is an account with this address already.")
    return known[name]


def _seen_address(request: Request) -> str:
    """What the browser asked for, as far as the proxy in front hands it on; the page's script knows better."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}"[:_LONGEST]


class SetUpFirst:
    """ASGI middleware: while nobody is here, the staff's pages lead to the set-up page."""

    _OTHERS = ("/api", "/auth", "/health", "/ready", "/metrics", "/book", "/manage", "/my", "/site", PATH)

    def __init__(self, app: ASGIApp) -> None:
        self.app, self._needed = app, True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._needed and scope["type"] == "http" and await self._leads_away(scope):
            response = RedirectResponse(PATH, 303, headers={"Cache-Control": "no-store"})
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _leads_away(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD") or "." in path.rpartition("/")[2]:
            return False
        if "text/html" not in Headers(scope=scope).get("accept", ""):
            return False
        if any(path == other or path.startswith(f"{other}/") for other in self._OTHERS):
            return False
        try:
            self._needed = await asyncio.to_thread(first_owner.is_needed)
        except _AWAY:
            return False
        return self._needed
