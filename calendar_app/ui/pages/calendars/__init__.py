"""``/settings/calendars``: connect accounts, see how they are doing, and say what each calendar is used for."""

from calendar_app.ui.pages.calendars.page import calendars
from calendar_app.ui.pages.calendars.state import PATH

__all__ = ["PATH", "calendars"]
