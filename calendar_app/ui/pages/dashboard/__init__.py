"""``/dashboard``: what is coming, as a list and as a calendar, in step with every connected account."""

from calendar_app.ui.pages.dashboard.page import PATH, dashboard

__all__ = ["PATH", "dashboard"]
