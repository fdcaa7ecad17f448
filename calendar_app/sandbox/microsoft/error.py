"""Graph's error answers, as one exception.

Shape: https://learn.microsoft.com/graph/errors. A handler raises :class:`GraphError`; the HTTP layer turns it into
``{"error": {"code", "message", "innerError": {"date", "request-id", "client-request-id"}}}``. Codes and texts are those
that Exchange Online and the Graph gateway answer with.
"""

from __future__ import annotations

from collections.abc import Mapping


class GraphError(Exception):
    """``code`` is Graph's machine word."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """400: the request cannot be understood."""
    return GraphError(400, code, message)


def invalid_property(message: str = "At least one property failed validation.") -> GraphError:
    """400: a value that an event cannot have."""
    return GraphError(400, "ErrorPropertyValidationFailure", message)


def unreadable_body(message: str) -> GraphError:
    """400: an unknown property, or one of the wrong type."""
    return GraphError(400, "RequestBodyRead", message)


def not_found() -> GraphError:
    """404: missing, or another mailbox's."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def malformed_id() -> GraphError:
    """400: a string that is no id at all."""
    return GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def changed_meanwhile() -> GraphError:
    """412: ``If-Match`` names another version than the present one."""
    return GraphError(
        412,
        "ErrorIrresolvableConflict",
        "The send or update operation could not be performed because the change key passed in the request does not "
        "match the current change key for the item.",
    )


def denied() -> GraphError:
    """403: the token's scopes do not open this, or the calendar cannot be written."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def sync_state_gone() -> GraphError:
    """410: the delta token is too old; the client starts again with a full round."""
    return GraphError(
        410, "SyncStateNotFound", "The sync state generation is not found; generation=0;[highest=1]."
    )


def resync_required() -> GraphError:
    """410: the delta token belongs to a state that this store never had."""
    return GraphError(
        410, "resyncRequired", "Resync required. Replace any local items with the server's version."
    )
