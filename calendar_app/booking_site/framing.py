"""Which sites may show a page in a frame, and the rest of what a browser may do with it.

The policy allows nothing but this site's own files (CSP level 3): no inline script or style, no foreign request, so
markup that somebody typed into a name could do nothing even if it were not escaped.
"""

from __future__ import annotations

NOBODY, EVERYBODY = "'none'", "*"


def frame_ancestors(*, embeddable: bool) -> str:
    """The sites that may embed a page of booking; pages that change a booking are embedded by nobody."""
    return EVERYBODY if embeddable else NOBODY


def headers(*, embeddable: bool, secret: bool) -> dict[str, str]:
    """Headers of a page; ``secret``: a token stands in its address, which no other site may learn."""
    ancestors = frame_ancestors(embeddable=embeddable)
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
    if embeddable:
        found["X-Frame-Options"] = ""
    if secret:
        found |= {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return found
