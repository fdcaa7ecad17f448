"""Back to the application's registered address."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import RedirectResponse


def redirect(redirect_uri: str, state: str | None, answer: Mapping[str, str]) -> RedirectResponse:
    """``answer`` and the state, where one was sent, as the query."""
    query = urlencode({**answer, **({} if state is None else {"state": state})})
    return RedirectResponse(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}", 302)
