"""The tables in which the stand-in for Microsoft 365 keeps what it knows.

``event`` holds single events, masters of series, and one row per occurrence that differs from its series
(``exception``; ``deleted`` where the occurrence was taken out).
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS mailbox (
  email TEXT PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, zone TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calendar (
  id TEXT PRIMARY KEY, mailbox TEXT NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, color TEXT NOT NULL,
  is_default INTEGER NOT NULL, can_edit INTEGER NOT NULL DEFAULT 1, owner_name TEXT NOT NULL,
  owner_email TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS event (
  id TEXT PRIMARY KEY, calendar TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
  series TEXT, original INTEGER, starts INTEGER NOT NULL, ends INTEGER NOT NULL, txn TEXT, created INTEGER NOT NULL,
  changed INTEGER NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS event_seq ON event (calendar, seq);
CREATE INDEX IF NOT EXISTS event_series ON event (series);
CREATE UNIQUE INDEX IF NOT EXISTS event_txn ON event (calendar, txn) WHERE txn IS NOT NULL AND status = 'live';
CREATE TABLE IF NOT EXISTS subscription (
  id TEXT PRIMARY KEY, mailbox TEXT NOT NULL, calendar TEXT, resource TEXT NOT NULL, change_types TEXT NOT NULL,
  address TEXT NOT NULL, lifecycle_address TEXT, client_state TEXT, immutable INTEGER NOT NULL,
  expires INTEGER NOT NULL, warned INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""
