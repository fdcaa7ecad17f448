"""Log records that can be followed and shown: one line each, with the ids of their request and job, and no secret.

Every kind of process calls :func:`configure` at its start, so that all of them write the same lines to stderr. An id
of a request travels with the jobs that it queued (:mod:`calendar_app.queues`): one search finds what became of it.

Secrets do not belong into log records in the first place. :func:`redact` is the net below: it takes out the values of
the settings that are secrets, and whatever looks like a token or a password, from messages, fields and stacks alike.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from calendar_app.settings import Settings

NOBODY = "-"
request_id: ContextVar[str] = ContextVar("request_id", default=NOBODY)
"""The id of the HTTP request, or event of an open page, that is being served or has queued the present job."""
job_id: ContextVar[str] = ContextVar("job_id", default=NOBODY)
"""The id of the job that this process is doing."""

HIDDEN = "[hidden]"
_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SHORTEST_SECRET = 6

_NAMES = (
    r"(?:access_|refresh_|id_|api_|client_|sync_)?(?:token|secret)|password|passwd|code_verifier|authorization"
    r"|almanac_session|almanac_connect|almanac_device|encryption_keys?|secret_key"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # "name": "value", name='value', name=value (a query string or a form), Name: value (a header)
    (
        re.compile(
            rf"(?i)((?<![a-z0-9])(?:{_NAMES})[\"']?\s*[:=]\s*)"
            r"(\"[^\"]*\"|'[^']*'|(?:Bearer |Basic )?[^\s&,;})\]]+)"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)([?&](?:code|state|key|sig|signature)=)[^&\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic) [a-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+@"), rf"\1{HIDDEN}@"),  # scheme://user:password@host
    (re.compile(r"\balm_[A-Za-z0-9_-]{20,}"), HIDDEN),  # our own API tokens
    (re.compile(r"\bgAAAAA[A-Za-z0-9_=-]{20,}"), HIDDEN),  # Fernet tokens: ciphertext, but nobody needs it
    (re.compile(r"\b(?:ya29\.|1//0)[A-Za-z0-9._/-]{10,}"), HIDDEN),  # Google's tokens
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*"), HIDDEN),  # JSON Web Tokens
    (
        re.compile(r"(/(?:manage|manage/order|feeds|join|hold|booked|my/enter)/)[A-Za-z0-9._~-]{16,}"),
        rf"\1{HIDDEN}",
    ),  # addresses that are keys themselves
)
_OWN_HANDLERS = ("_granian", "granian.access", "rq.worker", "rq.cron", "rq.scheduler")
_NOISY = ("httpx", "httpcore", "alembic", "rq.worker", "rq.scheduler", "rq.cron", "authlib")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

_known: set[str] = set()


def redact(text: str) -> str:
    """``text`` without secrets: the settings' own values, and what looks like a token, a password or a private link."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def hide(*values: str) -> None:
    """Never show these values, wherever they turn up."""
    _known.update(value for value in values if len(value) >= _SHORTEST_SECRET)


def sane_id(given: str) -> str:
    """``given``, if it can be an id in a log line, else a new one."""
    return given if _SANE.fullmatch(given) else secrets.token_hex(12)


@contextmanager
def bound(*, request: str = NOBODY, job: str = NOBODY) -> Iterator[None]:
    """Everything logged inside belongs to this request and job."""
    tokens = request_id.set(request), job_id.set(job)
    try:
        yield
    finally:
        request_id.reset(tokens[0])
        job_id.reset(tokens[1])


class _Formatter(logging.Formatter):
    """Says what is in a record; subclasses say how. ``process`` is the kind of process: web, worker, cron."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def parts(self, record: logging.LogRecord) -> dict[str, Any]:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self.process,
            "pid": record.process,
            "logger": record.name,
            "message": redact(record.getMessage()),
            "request_id": request_id.get(),
            "job_id": job_id.get(),
        }
        for name, value in record.__dict__.items():
            if name not in _STANDARD and name not in found and not name.startswith("_"):
                found[name] = value if isinstance(value, int | float | bool | None) else redact(str(value))
        if record.exc_info:
            found["exception"] = redact(self.formatException(record.exc_info))
        if record.stack_info:
            found["stack"] = redact(record.stack_info)
        return found


class JsonFormatter(_Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.parts(record), ensure_ascii=False, default=str)


class TextFormatter(_Formatter):
    """For people: the fields that differ, then whatever stack there is."""

    def format(self, record: logging.LogRecord) -> str:
        parts = self.parts(record)
        exception = "".join(f"\n{parts.pop(name)}" for name in ("exception", "stack") if name in parts)
        line = f"{parts.pop('time')} {parts.pop('level').upper():7} {parts.pop('logger')}: {parts.pop('message')}"
        left = {
            name: value for name, value in parts.items() if value != NOBODY and name not in ("process", "pid")
        }
        fields = "".join(f" {name}={value}" for name, value in left.items())
        return line + fields + exception


class _Handler(logging.Handler):
    """Ours, to be told from other people's; writes to whatever stderr is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  # what logging does with records that cannot be written
            self.handleError(record)


def configure(settings: Settings, process: str) -> None:
    """Log to stderr from now on, as the settings say; calling it again changes nothing more.

    Servers and workers that brought handlers of their own hand their records over.
    """
    hide(*_secrets_of(settings))
    handler = _Handler()
    handler.setFormatter((JsonFormatter if settings.logs_as_json else TextFormatter)(process))
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if not isinstance(one, _Handler)] + [handler]
    root.setLevel(settings.log_level)
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)


def _secrets_of(settings: Settings) -> Iterator[str]:
    for name in Settings.model_fields:
        value = getattr(settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, SecretStr):
                yield one.get_secret_value()
