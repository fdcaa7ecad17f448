"""Calendars that are files: a published .ics address to follow, and a file that was imported once."""
