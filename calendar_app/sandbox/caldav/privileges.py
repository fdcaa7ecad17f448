"""Calendars that may only be read, as a server with access control shows them (RFC 3744 §3, §5.4).

Radicale reads its rights once, when it starts; so a right that is taken away while it runs is taken here.
"""

from __future__ import annotations

from xml.etree import ElementTree  # the answers are our own Radicale's

from starlette.responses import Response

DAV = "{DAV:}"
_READING = {f"{DAV}read", f"{DAV}read-current-user-privilege-set", f"{DAV}read-acl"}
_NEEDS_WRITE = (
    '<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:"><D:need-privileges><D:resource>'
    "<D:href>{href}</D:href><D:privilege><D:write-content/></D:privilege></D:resource></D:need-privileges></D:error>"
)


def refused(href: str) -> Response:
    """403, with the privilege that it takes (RFC 3744 §7.1.1)."""
    return Response(_NEEDS_WRITE.format(href=href), 403, media_type="application/xml")


def without_writing(content: bytes, read_only: set[str]) -> bytes:
    """A multi-status in which nobody may write the collections of those names."""
    root = ElementTree.fromstring(content)  # noqa: S314
    for response in root.iter(f"{DAV}response"):
        names = (response.findtext(f"{DAV}href") or "").strip("/").split("/")
        if names[-1] not in read_only:
            continue
        for privileges in response.iter(f"{DAV}current-user-privilege-set"):
            for privilege in list(privileges):
                if not {part.tag for part in privilege} <= _READING:
                    privileges.remove(privilege)
    changed: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return changed
