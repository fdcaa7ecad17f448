"""One frozen settings object, read from the environment once per process.

Development needs no variable at all: secrets are made on first start and kept in ``DATA_DIR``. Production
(``ALMANAC_ENV=production``) refuses to start on a missing or default secret, on the sandbox, and on plain-http URLs.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from calendar_app.places import default_data_dir, sandbox_comes_along

_ENTRA = "https://login.microsoftonline.com"


class SettingsError(Exception):
    """A setting is missing or unusable; the message is one sentence that names the variable."""


class Settings(BaseSettings):
    """Everything an operator may set; README's configuration table lists the same names.

    URLs carry no trailing slash. ``encryption_keys`` are Fernet keys, newest first (older ones still decrypt).
    ``allowed_private_hosts`` are ``host`` or ``host:port``, lower-case: typed addresses may lead there although they
    are private or speak plain http.

    ``…_per_minute`` and ``…_per_account`` are requests a minute that a provider allows to this installation and for one
    account: Google's defaults (developers.google.com/workspace/calendar/api/guides/quota), Graph's 130,000 in ten
    seconds and 10,000 in ten minutes for a mailbox (learn.microsoft.com/graph/throttling-limits), Calendly's 500 for a
    user of a paid plan, 50 of a free one (developer.calendly.com/api-docs/overview/rate-limits), which names no number
    for an application.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    environment: Literal["development", "production"] = Field("development", alias="ALMANAC_ENV")
    port: int = Field(3000, alias="PORT")
    data_dir: Path = Field(default_factory=default_data_dir, alias="DATA_DIR")
    base_url: str = Field("", alias="BASE_URL")
    forwarded_allow_ips: str = Field("", alias="FORWARDED_ALLOW_IPS")
    database_url: str = Field("", alias="DATABASE_URL")
    redis_url: str = Field("redis://127.0.0.1:6379/0", alias="REDIS_URL")
    secret_key: SecretStr = Field(SecretStr(""), alias="SECRET_KEY")
    session_idle_hours: int = Field(168, alias="SESSION_IDLE_HOURS", ge=1, le=720)
    encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), alias="ENCRYPTION_KEYS")

    google_client_id: str = Field("", alias="GOOGLE_CLIENT_ID")
    google_client_secret: SecretStr = Field(SecretStr(""), alias="GOOGLE_CLIENT_SECRET")
    google_auth_url: str = Field("https://accounts.google.com/o/oauth2/v2/auth", alias="GOOGLE_AUTH_URL")
    google_token_url: str = Field("https://oauth2.googleapis.com/token", alias="GOOGLE_TOKEN_URL")
    google_revoke_url: str = Field("https://oauth2.googleapis.com/revoke", alias="GOOGLE_REVOKE_URL")
    google_userinfo_url: str = Field(
        "https://openidconnect.googleapis.com/v1/userinfo", alias="GOOGLE_USERINFO_URL"
    )
    google_api_url: str = Field("https://www.googleapis.com/calendar/v3", alias="GOOGLE_API_URL")
    google_in_testing: bool = Field(False, alias="GOOGLE_IN_TESTING")

    microsoft_client_id: str = Field("", alias="MICROSOFT_CLIENT_ID")
    microsoft_client_secret: SecretStr = Field(SecretStr(""), alias="MICROSOFT_CLIENT_SECRET")
    microsoft_tenant: str = Field("common", alias="MICROSOFT_TENANT", pattern=r"^[A-Za-z0-9.-]*$")
    microsoft_auth_url: str = Field("", alias="MICROSOFT_AUTH_URL")
    microsoft_token_url: str = Field("", alias="MICROSOFT_TOKEN_URL")
    microsoft_api_url: str = Field("https://graph.microsoft.com/v1.0", alias="MICROSOFT_API_URL")

    calendly_client_id: str = Field("", alias="CALENDLY_CLIENT_ID")
    calendly_client_secret: SecretStr = Field(SecretStr(""), alias="CALENDLY_CLIENT_SECRET")
    calendly_webhook_key: SecretStr = Field(SecretStr(""), alias="CALENDLY_WEBHOOK_KEY")
    calendly_auth_url: str = Field("https://auth.calendly.com/oauth/authorize", alias="CALENDLY_AUTH_URL")
    calendly_token_url: str = Field("https://auth.calendly.com/oauth/token", alias="CALENDLY_TOKEN_URL")
    calendly_revoke_url: str = Field("https://auth.calendly.com/oauth/revoke", alias="CALENDLY_REVOKE_URL")
    calendly_api_url: str = Field("https://api.calendly.com", alias="CALENDLY_API_URL")

    smtp_url: SecretStr = Field(SecretStr(""), alias="SMTP_URL")
    mail_from: str = Field("Almanac <no-reply@localhost>", alias="MAIL_FROM")

    sandbox_choice: Literal["auto", "on", "off"] = Field("auto", alias="ALMANAC_SANDBOX")
    sandbox_url: str = Field("", alias="SANDBOX_URL")

    poll_minutes: int = Field(5, alias="POLL_MINUTES", ge=1)
    push_check_hours: int = Field(3, alias="PUSH_CHECK_HOURS", ge=1, le=48)
    fresh_minutes: int = Field(15, alias="FRESH_MINUTES", ge=1)
    google_per_minute: int = Field(10_000, alias="GOOGLE_REQUESTS_PER_MINUTE", ge=1)
    google_per_account: int = Field(600, alias="GOOGLE_REQUESTS_PER_ACCOUNT", ge=1)
    microsoft_per_minute: int = Field(780_000, alias="MICROSOFT_REQUESTS_PER_MINUTE", ge=1)
    microsoft_per_account: int = Field(1_000, alias="MICROSOFT_REQUESTS_PER_ACCOUNT", ge=1)
    calendly_per_minute: int = Field(10_000, alias="CALENDLY_REQUESTS_PER_MINUTE", ge=1)
    calendly_per_account: int = Field(500, alias="CALENDLY_REQUESTS_PER_ACCOUNT", ge=1)
    jitsi_url: str = Field("https://meet.jit.si", alias="JITSI_URL")
    bookings_allowed: int = Field(0, alias="BOOKINGS_PER_MINUTE", ge=0)
    api_requests_per_minute: int = Field(6000, alias="API_REQUESTS_PER_MINUTE", ge=1)
    keep_emails_days: int = Field(90, alias="KEEP_EMAILS_DAYS", ge=0)
    keep_audit_days: int = Field(400, alias="KEEP_AUDIT_DAYS", ge=0)
    keep_receipts_days: int = Field(400, alias="KEEP_RECEIPTS_DAYS", ge=0)
    keep_webhooks_days: int = Field(30, alias="KEEP_WEBHOOKS_DAYS", ge=0)
    http_timeout: float = Field(20.0, alias="HTTP_TIMEOUT", gt=0)
    allowed_private_hosts: Annotated[tuple[str, ...], NoDecode] = Field((), alias="ALLOWED_PRIVATE_HOSTS")

    log_format: Literal["auto", "text", "json"] = Field("auto", alias="LOG_FORMAT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias="LOG_LEVEL")
    metrics_token: SecretStr = Field(SecretStr(""), alias="METRICS_TOKEN")
    operators: Annotated[tuple[str, ...], NoDecode] = Field((), alias="OPERATORS")

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        hosts = ("ALLOWED_PRIVATE_HOSTS", "allowed_private_hosts")
        for name in ("ENCRYPTION_KEYS", "encryption_keys", *hosts):
            raw = values.get(name)
            if isinstance(raw, str):
                parts = tuple(part.strip() for part in raw.split(",") if part.strip())
                values[name] = tuple(part.lower() for part in parts) if name in hosts else parts
        return values

    @field_validator("operators", mode="before")
    @classmethod
    def _addresses(cls, given: object) -> object:
        if isinstance(given, str):
            return tuple(part.strip().lower() for part in given.split(",") if part.strip())
        return given

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, given: object) -> object:
        return given.upper() if isinstance(given, str) else given

    @field_validator("base_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and not (parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/")):
            raise ValueError("this must be an address like https://calendar.example.com, without a path")
        return url

    @field_validator("keep_emails_days", "keep_audit_days", "keep_receipts_days")
    @classmethod
    def _long_enough(cls, days: int) -> int:
        if 0 < days < 60:  # whether somebody was told, and of what, is looked up for weeks
            raise ValueError("this must be 60 days at least, or 0 to keep for ever")
        return days

    @field_validator("keep_webhooks_days")
    @classmethod
    def _as_long_as_retried(cls, days: int) -> int:
        if 0 < days < 4:  # what is still tried is kept
            raise ValueError("this must be 4 days at least, or 0 to keep for ever")
        return days

    @field_validator("encryption_keys")
    @classmethod
    def _fernet_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        try:
            for key in keys:
                Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError(
                "each must be a Fernet key, 32 random bytes in URL-safe base64: "
                "make one with `openssl rand -base64 32 | tr +/ -_`"
            ) from None
        return keys

    @model_validator(mode="after")
    def _production_is_strict(self) -> Self:
        if self.environment != "production":
            return self
        if len(self.secret_key.get_secret_value()) < 32:
            raise ValueError("SECRET_KEY must be set to at least 32 characters in production")
        if not self.encryption_keys:
            raise ValueError("ENCRYPTION_KEYS must hold at least one Fernet key in production")
        if not self.base_url.startswith("https://"):
            raise ValueError("BASE_URL must be an https:// address in production")
        if self.sandbox_choice == "on":
            raise ValueError("ALMANAC_SANDBOX=on cannot be used in production")
        return self

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def google_configured(self) -> bool:
        return bool(self.google_client_id and self.google_client_secret.get_secret_value())

    @property
    def microsoft_configured(self) -> bool:
        return bool(self.microsoft_client_id and self.microsoft_client_secret.get_secret_value())

    @property
    def calendly_configured(self) -> bool:
        return bool(self.calendly_client_id and self.calendly_client_secret.get_secret_value())

    @property
    def _entra(self) -> str:
        return f"{_ENTRA}/{self.microsoft_tenant or 'common'}/oauth2/v2.0"

    @property
    def microsoft_authorize(self) -> str:
        """Where browsers give consent: the tenant's endpoint, unless ``MICROSOFT_AUTH_URL`` names another."""
        return self.microsoft_auth_url or f"{self._entra}/authorize"

    @property
    def microsoft_token(self) -> str:
        """Where codes and refresh tokens are exchanged; as :attr:`microsoft_authorize`."""
        return self.microsoft_token_url or f"{self._entra}/token"

    @property
    def sandbox(self) -> bool:
        """The local stand-ins run when asked for, or when no provider has credentials; never in production."""
        if self.production or self.sandbox_choice == "off":
            return False
        return self.sandbox_choice == "on" or (
            sandbox_comes_along()
            and not (self.google_configured or self.microsoft_configured or self.calendly_configured)
        )

    @property
    def logs_as_json(self) -> bool:
        """Machines read the logs in production, people in development, unless ``LOG_FORMAT`` says otherwise."""
        return self.log_format == "json" or (self.log_format == "auto" and self.production)

    @field_validator("jitsi_url")
    @classmethod
    def _meeting_server(cls, url: str) -> str:
        parts = urlsplit(url)
        if not (parts.scheme == "https" and parts.hostname) or parts.query or parts.fragment:
            raise ValueError("this must be an address like https://meet.example.com")
        return url.rstrip("/")

    @property
    def bookings_per_minute(self) -> int:
        """What one address may book: an office behind one address stays below, a script does not.

        30 in production; development allows the 300 that measuring and storming need.
        """
        return self.bookings_allowed or (30 if self.production else 300)

    @property
    def public_url(self) -> str:
        """Where browsers reach us, without a trailing slash."""
        return (self.base_url or f"http://localhost:{self.port}").rstrip("/")

    @property
    def trusted_proxies(self) -> str:
        """Whose ``X-Forwarded-For`` is believed: nobody's in development, else that of this machine's proxy."""
        return self.forwarded_allow_ips or ("127.0.0.1" if self.production else "")

    @property
    def database(self) -> str:
        """SQLAlchemy URL; SQLite in ``DATA_DIR`` unless ``DATABASE_URL`` says otherwise."""
        url = self.database_url or f"sqlite:///{(self.data_dir / 'almanac.db').absolute()}"
        return url.replace("postgres://", "postgresql://", 1).replace(
            "postgresql://", "postgresql+psycopg://", 1
        )


def _made_once(data_dir: Path, name: str, value: str) -> str:
    """The content of a private file in ``DATA_DIR``, written on first use (mode 0600)."""
    path = data_dir / name
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        if path.exists():
            return _kept(path)
        reason = "it is not a directory" if data_dir.is_file() else error.strerror
        raise SettingsError(f"DATA_DIR {data_dir} cannot be written: {reason}.") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(value)
    return value


def _kept(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error


def _reasons(error: ValueError) -> list[str]:
    """What pydantic found, each reason with the name of its variable."""
    if not isinstance(error, ValidationError):
        return [str(error)]
    return [
        ": ".join([*(str(part) for part in item["loc"][:1]), item["msg"].removeprefix("Value error, ")])
        for item in error.errors(include_input=False, include_url=False)
    ]


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; in development, missing secrets are made and kept in ``DATA_DIR``.

    :raises SettingsError: with one sentence naming the variable at fault.
    """
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # pydantic validates what the caller passes
    except ValueError as error:
        raise SettingsError("; ".join(_reasons(error))) from error
    if settings.production:
        return settings
    made: dict[str, object] = {}
    if not settings.secret_key.get_secret_value():
        made["secret_key"] = SecretStr(_made_once(settings.data_dir, "secret_key", secrets.token_urlsafe(48)))
    if not settings.encryption_keys:
        key = _made_once(settings.data_dir, "encryption_key", Fernet.generate_key().decode())
        made["encryption_keys"] = (SecretStr(key),)
    return settings.model_copy(update=made)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of the process's environment, read once."""
    return load_settings()


Entered = Callable[[Settings], Settings]
"""Adds to the settings of the environment what operators entered in pages."""
_entered: list[Entered] = []


def use_entered(add: Entered) -> None:
    """Have :func:`current_settings` ask ``add``; the room of the database does that when it is first imported."""
    _entered[:] = [add]


def current_settings() -> Settings:
    """The environment's settings with what operators entered in pages; what the environment says stays as it is.

    To be asked at each use, as it may change while the process runs: the public address, providers' credentials, mail.
    It may read the database, so the event loop does not call it.
    """
    settings = get_settings()
    return _entered[0](settings) if _entered else settings
