"""``/admin/installation``: for operators, how the installation is, and what can be entered for all of it."""

from calendar_app.ui.pages.installation.page import PATH, installation

__all__ = ["PATH", "installation"]
