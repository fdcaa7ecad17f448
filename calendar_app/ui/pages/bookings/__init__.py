"""``/bookings``: who is coming, what happened to each booking, and its receipt in each calendar."""

from calendar_app.ui.pages.bookings.page import PATH, bookings

__all__ = ["PATH", "bookings"]
