"""Column types: aware UTC datetimes on every database, and text that is encrypted at rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import JSON, DateTime, Dialect, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from calendar_app.settings import get_settings

Json = JSON().with_variant(JSONB(), "postgresql")
NullableJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A document, or NULL for none."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept and returned in UTC. :raises ValueError: (as StatementError) for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetimes are not stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def cipher() -> MultiFernet:
    """Encrypts with the newest key and decrypts with any (``Settings.encryption_keys``)."""
    return MultiFernet([Fernet(key.get_secret_value()) for key in get_settings().encryption_keys])


class EncryptedText(TypeDecorator[str]):
    """Text that is a Fernet token in the database and plain in memory.

    :raises cryptography.fernet.InvalidToken: when no configured key decrypts the value.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else cipher().encrypt(value.encode()).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else cipher().decrypt(value.encode()).decode()
