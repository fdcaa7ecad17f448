"""``/my``: every booking of one address, at all businesses, for who reads what is sent to that address."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import groupby

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from calendar_app import translations
from calendar_app.booking_site import answers, facts, words
from calendar_app.booking_site.forms import Posted
from calendar_app.booking_site.visit import Visit
from calendar_app.errors import Forbidden, InvalidInput, NotFound, TooManyRequests
from calendar_app.services.bookings import customers
from calendar_app.services.bookings.customers import Customer

router = APIRouter(include_in_schema=False, prefix="/my")
log = logging.getLogger(__name__)


@router.get("")
def my(request: Request) -> Response:
    """The bookings of who is signed in, by business; the form to sign in for everybody else."""
    visit = Visit.of(request)
    customer = customers.identify(request.cookies.get(customers.COOKIE, ""))
    return _list(visit, customer) if customer else _form(visit)


@router.post("/link")
def ask(request: Request, posted: Posted) -> Response:
    """Send a link. The answer is the same, and as quick, whether or not the address has bookings."""
    visit = Visit.of(request, posted)
    _check_origin(request)
    try:
        email = customers.check_wish(posted.get("email", ""), visit.client)
    except InvalidInput as error:
        return _form(visit, posted, words.of_field(visit, error, ())[1], 422)
    except TooManyRequests as error:
        return _form(visit, posted, words.of_error(visit, error), 429)
    response = answers.see_other(visit, visit.link("/my/sent"))
    response.background = BackgroundTask(_send, email, visit.language)
    return response


@router.get("/sent")
def sent(request: Request) -> Response:
    """What to do now."""
    return answers.page(Visit.of(request), "my_sent.html", secret=True)


@router.get("/enter/{secret}")
def ask_entry(request: Request, secret: str) -> Response:
    """The page of a link. It signs nobody in: mail programs open links before people do."""
    visit = Visit.of(request)
    return answers.page(
        visit, "my_enter.html", secret=True, action=visit.link(f"/my/enter/{secret}"), gone=False
    )


@router.post("/enter/{secret}")
def enter(request: Request, secret: str) -> Response:
    """Use the link up, and remember who is signed in."""
    visit = Visit.of(request)
    _check_origin(request)
    try:
        token = customers.enter(secret, client=visit.client)
    except NotFound:
        return answers.page(visit, "my_enter.html", status=410, secret=True, action="", gone=True)
    seconds = int(customers.SESSION_LIFE.total_seconds())
    visit.remember(customers.COOKIE, token, seconds=seconds, path="/")
    return answers.see_other(visit, visit.link("/my"))


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session."""
    visit = Visit.of(request)
    _check_origin(request)
    customers.sign_out(request.cookies.get(customers.COOKIE, ""))
    visit.remember(customers.COOKIE, "", seconds=0, path="/")
    return answers.see_other(visit, visit.link("/my"))


def _check_origin(request: Request) -> None:
    """:raises Forbidden: a browser says that another site's page sent this."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Forbidden(code="cross_site")


def _form(
    visit: Visit, typed: Mapping[str, str] | None = None, error: str = "", status: int = 200
) -> Response:
    email = (typed or {}).get("email", "")[:320]
    return answers.page(visit, "my_sign_in.html", status=status, secret=True, email=email, error=error)


def _list(visit: Visit, customer: Customer) -> Response:
    """What is to come first, the nearest on top; then what is over."""
    found = customers.bookings(customer)
    ahead = sorted((view for view in found if view.end > visit.now), key=lambda view: view.start)
    past = [view for view in found if view.end <= visit.now]
    groups = []
    for heading, views in (("ahead", ahead), ("past", past)):
        by_business = sorted(views, key=lambda view: view.workspace_name.casefold())
        for (_slug, business), members in groupby(
            by_business, key=lambda view: (view.workspace_slug, view.workspace_name)
        ):
            groups.append((heading, business, [facts.of(visit, view) for view in members]))
    return answers.page(visit, "my.html", secret=True, email=customer.email, groups=groups)


def _send(email: str, language: translations.Language) -> None:
    try:
        customers.send_link(email, lambda link: _letter(language, link), language=language.tag)
    except Exception:
        log.exception("a sign-in link was not sent")


def _letter(language: translations.Language, link: str) -> tuple[str, str]:
    _ = language.gettext
    minutes = int(customers.LINK_LIFE.total_seconds()) // 60
    text = (
        _("Hello,"),
        _(
            "With this link you see all your bookings and can change them. It works once, and for %(minutes)s minutes."
        )
        % {"minutes": minutes},
        _("See your bookings:") + f"\n{link}",
        _("If you did not ask for it, you need not do anything."),
    )
    return _("Your bookings"), "\n\n".join(text) + "\n"
