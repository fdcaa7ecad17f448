"""Which sites may show a page in a frame, and the rest of what a browser may do with it.

The policy allows nothing but this site's own files (CSP level 3): no inline script or style, no foreign request, so
markup that somebody typed into a name could do nothing even if it were not escaped.
"""

from __future__ import annotations

from collections.abc import Sequence

NOBODY, EVERYBODY = "'none'", "*"


def frame_ancestors(sites: Sequence[str] | None) -> str:
    """The sites that may embed a page of booking, none: every site; ``None``: a page that nobody may embed, as those
    that change a booking are. This site itself always may, for the preview."""
    if sites is None:
        return NOBODY
    return " ".join(("'self'", *sites)) if sites else EVERYBODY


def headers(*, sites: Sequence[str] | None, secret: bool) -> dict[str, str]:
    """Headers of a page; ``sites`` as in :func:`frame_ancestors`; ``secret``: a token stands in its address, which no
    other site may learn."""
    ancestors = frame_ancestors(sites)
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        f"frame-ancestors {ancestors}",
    )
    found = {"Content-Security-Policy": "; ".join(policy), "Cache-Control": "no-cache"}
    if sites is not None:
        found["X-Frame-Options"] = ""
    if secret:
        found |= {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return found
