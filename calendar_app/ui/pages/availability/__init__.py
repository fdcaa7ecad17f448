"""``/settings/availability``: the weekly hours, their exceptions, and what the next clock change does to them."""

from calendar_app.ui.pages.availability.page import availability
from calendar_app.ui.pages.availability.state import PATH

__all__ = ["PATH", "availability"]
