"""Settings that operators entered in pages: the public address, providers' credentials, the mail server.

What the environment says wins, a group at a time: an id from the environment is never joined with a secret that was
entered. Values are read again every :data:`KEPT_S` seconds, so that every process takes a change without a restart.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.fernet import InvalidToken
from pydantic import SecretStr
from sqlalchemy import Text, select, type_coerce
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from calendar_app.settings import Settings

log = logging.getLogger(__name__)

KEPT_S = 5.0
"""Seconds for which a process goes on with what it read."""


class Group(StrEnum):
    """Settings that are entered together."""

    SITE = "site"
    GOOGLE = "google"
    GOOGLE_TESTING = "google_testing"
    MICROSOFT = "microsoft"
    CALENDLY = "calendly"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of :class:`Settings`' fields. If the environment has one of ``leading``, the whole group is its own;
    else it may still have one of the ``others``."""

    leading: tuple[str, ...]
    others: tuple[str, ...] = ()


GROUPS: Mapping[Group, Fields] = {
    Group.SITE: Fields(("base_url",)),
    Group.GOOGLE: Fields(("google_client_id", "google_client_secret")),
    Group.GOOGLE_TESTING: Fields(("google_in_testing",)),
    Group.MICROSOFT: Fields(("microsoft_client_id", "microsoft_client_secret"), ("microsoft_tenant",)),
    Group.CALENDLY: Fields(("calendly_client_id", "calendly_client_secret"), ("calendly_webhook_key",)),
    Group.MAIL: Fields(("smtp_url",), ("mail_from",)),
}


def from_environment(settings: Settings, group: Group) -> bool:
    """Whether the environment decides the group; ``settings`` are those of the environment."""
    return any(_in_environment(settings, name) for name in GROUPS[group].leading)


def _in_environment(settings: Settings, name: str) -> bool:
    return name in settings.model_fields_set and bool(plain(getattr(settings, name)))


def plain(value: object) -> object:
    """A setting's value, a secret as text."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def with_entered(settings: Settings) -> Settings:
    """``settings`` with what was entered; as they are while the database cannot be asked."""
    return _kept.settings(settings)


def forget() -> None:
    """Read again at the next use: something was entered here."""
    _kept.forget()


class _Kept:
    """What was read last, for one object of settings. Who comes while another thread reads goes on with the old."""

    def __init__(self) -> None:
        self.forget()
        self.renew_lock()

    def renew_lock(self) -> None:
        """In a process that was just forked no thread reads."""
        self._reading = threading.Lock()

    def forget(self) -> None:
        self._of: Settings | None = None
        self._found: Settings | None = None
        self._until = 0.0

    def settings(self, settings: Settings) -> Settings:
        found = self._found if self._of is settings else None
        if found is not None and time.monotonic() < self._until:
            return found
        if not self._reading.acquire(blocking=found is None):
            assert found is not None
            return found
        try:
            if self._of is settings and self._found is not None and time.monotonic() < self._until:
                return self._found
            read = _read(settings)
            made = found or settings if read is None else _added(settings, read)
            self._of, self._found, self._until = settings, made, time.monotonic() + KEPT_S
            return made
        finally:
            self._reading.release()


_kept = _Kept()
os.register_at_fork(after_in_child=_kept.renew_lock)


def _read(settings: Settings) -> dict[str, str] | None:
    """What was entered, by the setting's variable; ``None``: nobody can tell."""
    from calendar_app.db.session import get_engine  # these modules belong to the room that this one opens
    from calendar_app.db.tables import EnteredSetting
    from calendar_app.db.types import cipher

    path = settings.database.removeprefix("sqlite:///")
    if path != settings.database and not Path(path).exists():
        return {}  # a look must not make a database
    query = select(col(EnteredSetting.name), type_coerce(col(EnteredSetting.value), Text))
    found: dict[str, str] = {}
    try:
        with get_engine().connect() as connection:
            rows = connection.execute(query).all()
    except (SQLAlchemyError, OSError):
        return None
    for name, value in rows:
        try:
            found[name] = cipher().decrypt(str(value).encode()).decode()
        except InvalidToken:
            log.warning(
                "a setting that was entered is under none of ENCRYPTION_KEYS", extra={"setting": name}
            )
    return found


def _added(settings: Settings, read: Mapping[str, str]) -> Settings:
    update: dict[str, object] = {}
    for group, fields in GROUPS.items():
        if from_environment(settings, group):
            continue
        for name in (*fields.leading, *fields.others):
            value = read.get(name.upper(), "")
            if value and not _in_environment(settings, name):
                update[name] = _typed(getattr(settings, name), value)
    return settings.model_copy(update=update) if update else settings


def _typed(example: object, value: str) -> object:
    if isinstance(example, SecretStr):
        return SecretStr(value)
    return value == "on" if isinstance(example, bool) else value
