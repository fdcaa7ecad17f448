"""What to set so that the application talks to the sandbox instead of to Google."""

from __future__ import annotations

CLIENT_ID = "almanac-sandbox.apps.googleusercontent.com"
CLIENT_SECRET = "sandbox-secret-known-to-everybody"  # noqa: S105  # opens nothing but invented calendars
CALLBACK_PATH = "/api/v1/connections/google/callback"


def sandbox_environment(public_url: str, sandbox_url: str) -> dict[str, str]:
    """Environment variables of :mod:`calendar_app.settings` for the web process, the workers and the sandbox.

    Browsers reach the consent page under ``public_url``, through :func:`calendar_app.sandbox.proxy.mount_proxy`;
    servers talk straight to ``sandbox_url``. Both without a trailing slash.
    """
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
    }
