"""The tables in which the stand-in for Google keeps accounts, consent, tokens, calendars, events and channels."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (email TEXT PRIMARY KEY, sub TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calendar (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, seq INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0,
  is_primary INTEGER NOT NULL, sync_epoch INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
  calendar TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, status TEXT NOT NULL, updated INTEGER NOT NULL,
  starts INTEGER NOT NULL, ends INTEGER NOT NULL, recurring INTEGER NOT NULL, series TEXT, original TEXT,
  ical_uid TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (calendar, id));
CREATE UNIQUE INDEX IF NOT EXISTS event_seq ON event (calendar, seq);
CREATE INDEX IF NOT EXISTS event_series ON event (calendar, series);
CREATE INDEX IF NOT EXISTS event_uid ON event (calendar, ical_uid);
CREATE TABLE IF NOT EXISTS ghost (
  calendar TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (calendar, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS channel (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, resource TEXT NOT NULL, resource_id TEXT NOT NULL,
  resource_uri TEXT NOT NULL, address TEXT NOT NULL, token TEXT NOT NULL, expires INTEGER NOT NULL,
  number INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS channel_resource ON channel (resource);
"""
