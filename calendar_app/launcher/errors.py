"""Why a start fails, in words."""

from __future__ import annotations


class LaunchError(Exception):
    """The product cannot start or go on; the message is one sentence that says what happened and what to do."""
