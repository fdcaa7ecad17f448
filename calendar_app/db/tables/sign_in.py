"""How people show who they are besides a password: links sent to their address, authenticator apps, passkeys."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlalchemy.orm import deferred, undefer_group
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import ref, row_id, when
from calendar_app.db.types import EncryptedText


class EmailProof(SQLModel, table=True):
    """A link that was sent to ``email`` (lower case), for one use; ``secret_hash`` is the SHA-256 of its secret.

    ``purpose``: ``sign_up`` (an account is made, with ``name``, ``workspace_name``, ``timezone`` and the tag
    ``language``), ``reset`` (a new
    password for ``person_id``) or ``change`` (the address becomes that of ``person_id``).
    """

    __tablename__ = "email_proof"
    id: str = row_id()
    purpose: str = Field(max_length=16)
    email: str = Field(max_length=320)
    person_id: str | None = ref("person.id", nullable=True)
    name: str = ""
    workspace_name: str = ""
    timezone: str = "UTC"
    language: str = Field(default="", max_length=16)
    secret_hash: str = Field(unique=True, max_length=64)
    created_at: datetime = when()
    expires_at: datetime = when(index=True)


_SECRET = Column("secret", EncryptedText, nullable=False)
WITH_SECRET = (undefer_group("secret"),)
"""An option for the queries that need the key of an authenticator app."""


class SecondFactor(SQLModel, table=True):
    """What a person has besides the password: an authenticator app or a passkey.

    ``kind`` ``totp``: ``secret`` is the key in base32 (RFC 6238), ``last_step`` the time step of the last code that
    was accepted. ``passkey``: ``credential_id`` in base64url, ``public_key`` in COSE, ``sign_count`` as the
    authenticator told it last (WebAuthn Level 3, section 7). ``confirmed_at`` ``None``: not in force yet.
    """

    __tablename__ = "second_factor"
    __mapper_args__: ClassVar[dict[str, Any]] = {"properties": {"secret": deferred(_SECRET, group="secret")}}
    id: str = row_id()
    person_id: str = ref("person.id")
    kind: str = Field(max_length=16)
    name: str = Field(default="", max_length=100)
    secret: str = Field(default="", sa_column=_SECRET)
    last_step: int = 0
    credential_id: str | None = Field(default=None, unique=True, max_length=1400)
    public_key: bytes = Field(default=b"", sa_column=Column(LargeBinary, nullable=False))
    sign_count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = when()
    confirmed_at: datetime | None = when(nullable=True)
    last_used_at: datetime | None = when(nullable=True)


class RecoveryCode(SQLModel, table=True):
    """A code that stands for a second factor once; only its SHA-256 is kept."""

    __tablename__ = "recovery_code"
    id: str = row_id()
    person_id: str = ref("person.id")
    code_hash: str = Field(max_length=64)
    created_at: datetime = when()
    used_at: datetime | None = when(nullable=True)


class SignInStep(SQLModel, table=True):
    """A sign-in, or the making of a passkey, that is half done; the browser's cookie holds the secret, the row its
    SHA-256. ``challenge`` is WebAuthn's, in base64url; ``person_id`` is ``None`` before anybody is known."""

    __tablename__ = "sign_in_step"
    id: str = row_id()
    person_id: str | None = ref("person.id", nullable=True)
    secret_hash: str = Field(unique=True, max_length=64)
    challenge: str = Field(default="", max_length=200)
    created_at: datetime = when()
    expires_at: datetime = when(index=True)
