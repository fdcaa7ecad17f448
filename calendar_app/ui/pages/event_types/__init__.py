"""``/settings/event-types``: what can be booked, under which rules, and why a time is offered or not."""

from calendar_app.ui.pages.event_types.page import PATH, event_types

__all__ = ["PATH", "event_types"]
