"""``/admin``: how the workspace's connections and queued work stand, and what to do about it."""

from calendar_app.ui.pages.admin.page import PATH, admin

__all__ = ["PATH", "admin"]
