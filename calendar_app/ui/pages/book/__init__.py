"""``/book/{workspace}/{event_type}``: pick a day and a time, say who you are, done."""

from calendar_app.ui.pages.book.page import book
from calendar_app.ui.pages.book.state import BookState

__all__ = ["BookState", "book"]
