"""The tables in which the stand-in for Calendly keeps accounts, grants, bookings and webhooks.

``starts`` and ``ends`` are milliseconds since the epoch; ``body`` is a resource as the API gives it.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
  uuid TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, organization TEXT NOT NULL, role TEXT NOT NULL,
  body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event_type (uuid TEXT PRIMARY KEY, account TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
  uuid TEXT PRIMARY KEY, account TEXT NOT NULL, status TEXT NOT NULL, starts INTEGER NOT NULL, ends INTEGER NOT NULL,
  body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_account ON event (account, starts);
CREATE TABLE IF NOT EXISTS invitee (
  uuid TEXT PRIMARY KEY, event TEXT NOT NULL, created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS invitee_event ON invitee (event, created);
CREATE TABLE IF NOT EXISTS webhook (
  uuid TEXT PRIMARY KEY, account TEXT NOT NULL, organization TEXT NOT NULL, owner TEXT, url TEXT NOT NULL,
  signing_key TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (url, owner));
"""
