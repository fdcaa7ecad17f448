"""A CalDAV server for demonstrations: a real Radicale, with an account that has something in it."""
