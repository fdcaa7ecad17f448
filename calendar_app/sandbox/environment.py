"""What to set so that the application talks to the sandbox instead of to Google."""

from __future__ import annotations

from urllib.parse import urlsplit

CLIENT_ID = "almanac-sandbox.apps.googleusercontent.com"
CLIENT_SECRET = "sandbox-secret-known-to-everybody"  # noqa: S105  # opens nothing but invented calendars
MICROSOFT_CLIENT_ID = "6731de76-14a6-49ae-97bc-6eba6914391e"
MICROSOFT_CLIENT_SECRET = "sandbox-secret-known-to-everybody"  # noqa: S105  # opens nothing but invented calendars
MICROSOFT_CALLBACK_PATH = "/api/v1/connections/microsoft/callback"
CALENDLY_CLIENT_ID = "almanac-sandbox-calendly"
CALENDLY_CLIENT_SECRET = "sandbox-secret-known-to-everybody"  # noqa: S105  # opens nothing but invented bookings
CALENDLY_WEBHOOK_KEY = "sandbox-webhook-key-known-to-everybody"
CALENDLY_CALLBACK_PATH = "/api/v1/connections/calendly/callback"
MAIL_FROM = "Almanac sandbox <no-reply@sandbox.example>"
CALLBACK_PATH = "/api/v1/connections/google/callback"


def caldav_environment(port: int, sandbox_port: int, allowed: str = "") -> dict[str, str]:
    """What makes the sandbox find its Radicale, and the application call both although they are on this machine.

    The application reaches CalDAV and calendar links through the sandbox; accounts that were connected straight to
    Radicale go on working. ``allowed`` are the hosts that the operator allows besides (``ALLOWED_PRIVATE_HOSTS``).
    """
    ours = (f"{host}:{number}" for number in (sandbox_port, port) for host in ("127.0.0.1", "localhost"))
    return {
        "SANDBOX_CALDAV_PORT": str(port),
        "SANDBOX_CALDAV_URL": f"http://127.0.0.1:{port}/",
        "ALLOWED_PRIVATE_HOSTS": ",".join([*(host for host in allowed.split(",") if host.strip()), *ours]),
    }


def sandbox_environment(public_url: str, sandbox_url: str, smtp_port: int | None = None) -> dict[str, str]:
    """Environment variables of :mod:`calendar_app.settings` for the web process, the workers and the sandbox.

    Browsers reach the consent page under ``public_url``, through :mod:`calendar_app.sandbox.web`;
    servers talk straight to ``sandbox_url``. Both without a trailing slash. ``smtp_port`` is where the sandbox takes
    the application's e-mail; without it, the port after ``sandbox_url``'s.
    """
    smtp_port = smtp_port or (urlsplit(sandbox_url).port or 80) + 1
    google = f"{sandbox_url}/sandbox/google"
    return {
        "ALMANAC_SANDBOX": "on",
        "SANDBOX_URL": sandbox_url,
        "GOOGLE_CLIENT_ID": CLIENT_ID,
        "GOOGLE_CLIENT_SECRET": CLIENT_SECRET,
        "GOOGLE_AUTH_URL": f"{public_url}/sandbox/google/o/oauth2/v2/auth",
        "GOOGLE_TOKEN_URL": f"{google}/token",
        "GOOGLE_REVOKE_URL": f"{google}/revoke",
        "GOOGLE_USERINFO_URL": f"{google}/userinfo",
        "GOOGLE_API_URL": f"{google}/calendar/v3",
        "MICROSOFT_CLIENT_ID": MICROSOFT_CLIENT_ID,
        "MICROSOFT_CLIENT_SECRET": MICROSOFT_CLIENT_SECRET,
        "MICROSOFT_TENANT": "common",
        "MICROSOFT_AUTH_URL": f"{public_url}/sandbox/microsoft/common/oauth2/v2.0/authorize",
        "MICROSOFT_TOKEN_URL": f"{sandbox_url}/sandbox/microsoft/common/oauth2/v2.0/token",
        "MICROSOFT_API_URL": f"{sandbox_url}/sandbox/microsoft/graph/v1.0",
        "CALENDLY_CLIENT_ID": CALENDLY_CLIENT_ID,
        "CALENDLY_CLIENT_SECRET": CALENDLY_CLIENT_SECRET,
        "CALENDLY_WEBHOOK_KEY": CALENDLY_WEBHOOK_KEY,
        "CALENDLY_AUTH_URL": f"{public_url}/sandbox/calendly/oauth/authorize",
        "CALENDLY_TOKEN_URL": f"{sandbox_url}/sandbox/calendly/oauth/token",
        "CALENDLY_REVOKE_URL": f"{sandbox_url}/sandbox/calendly/oauth/revoke",
        "CALENDLY_API_URL": f"{sandbox_url}/sandbox/calendly/api",
        "SANDBOX_SMTP_PORT": str(smtp_port),
        "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
        "MAIL_FROM": MAIL_FROM,
    }
