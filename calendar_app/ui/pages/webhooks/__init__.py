"""``/settings/webhooks``: which programs are told what, what was sent to them, and what they answered."""

from calendar_app.ui.pages.webhooks.page import PATH, webhooks

__all__ = ["PATH", "webhooks"]
