"""Keys, the mail server and providers' credentials."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from calendar_app.clock import utc_now
from calendar_app.db.session import reading
from calendar_app.db.tables import Connection
from calendar_app.domain.connection import ConnectionStatus, lasted_a_week
from calendar_app.errors import AlmanacError, ProviderUnavailable
from calendar_app.providers import mail as smtp
from calendar_app.providers import registry
from calendar_app.providers.base import ClientAnswer, ProviderKind, SignIn
from calendar_app.services.doctor.findings import Finding, error, ok, warning
from calendar_app.services.operations import key_rotation
from calendar_app.settings import current_settings, get_settings

_TESTING_ADVICE = (
    "Publish the app (Google Cloud console, Google Auth Platform, Audience, “Publish app”), then connect the accounts "
    "once more. Until then people are told a day before their grant ends."
)


def keys() -> list[Finding]:
    """Whether every stored secret can be read, and which keys are still needed."""
    counts = key_rotation.rotate(dry=True)
    old, lost = sum(one.rotated for one in counts), sum(one.unreadable for one in counts)
    held = len(get_settings().encryption_keys)
    if lost:
        return [
            error(
                "keys",
                f"{lost} stored secrets are under none of ENCRYPTION_KEYS.",
                "Put their key back, at the end of the list; else those accounts have to be connected again.",
            )
        ]
    if old:
        return [
            warning(
                "keys",
                f"{old} stored secrets are under older keys.",
                "Run `almanac rotate-keys`, then take the older keys out of ENCRYPTION_KEYS.",
            )
        ]
    advice = "The older keys in ENCRYPTION_KEYS are not used any more: take them out." if held > 1 else ""
    said = "Every stored secret is under the newest key."
    if not get_settings().production:
        said += " Keys that no variable names are files in DATA_DIR: keep a copy apart from backups."
    return [ok("keys", said, advice)]


def mail(send_to: str = "") -> list[Finding]:
    """Sign in at the mail server; with ``send_to`` an e-mail is sent there."""
    settings = current_settings()
    if not settings.smtp_url.get_secret_value():
        return [
            error(
                "mail",
                "No mail server is set: confirmations, reminders and reset links wait and reach nobody.",
                "Set SMTP_URL, or enter the server under Operations → Installation.",
            )
        ]
    try:
        if send_to:
            smtp.send(smtp.test_letter(send_to, settings), settings)
        else:
            smtp.check(settings)
    except AlmanacError as trouble:
        return [
            error(
                "mail", trouble.detail, "Compare host, port, TLS, user and password with the provider's page."
            )
        ]
    if "@localhost" in settings.mail_from:
        return [
            warning(
                "mail",
                f"The mail server takes us, but e-mails come from {settings.mail_from}.",
                "Set MAIL_FROM to an address of your domain; others refuse or hide such e-mails.",
            )
        ]
    done = (
        f"An e-mail was handed over for {send_to}: look whether it arrives."
        if send_to
        else "The mail server takes us."
    )
    return [ok("mail", done)]


def providers() -> list[Finding]:
    """Each provider's client id and secret, and whether Google's project is in testing."""
    found = [provider(kind) for kind in registry.kinds() if kind.sign_in is SignIn.OAUTH]
    return [*found, *google_testing()]


def provider(kind: ProviderKind) -> Finding:
    """What the provider's token endpoint says of our client id and secret."""
    if not kind.configured:
        return ok(kind.key, f"{kind.title} is not set up, so nobody can connect an account of it.")
    title = kind.title
    advice = f"Compare client id and secret with the application at {title}, and enter them again."
    redirect = redirect_uri(kind.key)
    try:
        answer = registry.oauth_client(kind.key).check_client(redirect)
    except ProviderUnavailable as trouble:
        return warning(kind.key, f"{trouble.detail} Nobody can tell whether it takes us.", "Try again later.")
    except AlmanacError as trouble:
        return error(kind.key, trouble.detail, advice)
    if answer is ClientAnswer.REFUSED:
        return error(kind.key, f"{title} does not accept the client id and secret.", advice)
    if answer is ClientAnswer.EXPIRED:
        return error(
            kind.key, f"The client secret has expired at {title}.", "Make a new secret there, and enter it."
        )
    if answer is ClientAnswer.REDIRECT:
        return error(
            kind.key,
            f"{title} takes client id and secret, but does not know the redirect address.",
            f"Register exactly {redirect} there.",
        )
    if answer is ClientAnswer.UNPROVEN:
        return ok(
            kind.key,
            f"{title} knows the client; whether it takes the secret shows when the first account is connected.",
        )
    return ok(kind.key, f"{title} takes the client id and secret.")


def redirect_uri(key: str) -> str:
    """The address that has to be registered at the provider."""
    return f"{current_settings().public_url}/api/v1/connections/{key}/callback"


def google_testing(now: datetime | None = None) -> list[Finding]:
    """Whether Google's project is in “testing”, where every grant ends after seven days.

    An operator says so, or Google names such an end, or grants have ended at that age.
    """
    now = now or utc_now()
    if current_settings().google_in_testing:
        return [
            warning(
                "google testing",
                "Google's project is in testing: every grant ends after 7 days.",
                _TESTING_ADVICE,
            )
        ]
    with reading() as session:
        rows = session.exec(
            select(
                Connection.status, Connection.granted_at, Connection.grant_ends_at, Connection.last_error_at
            )
            .where(Connection.provider == "google")
            .where(col(Connection.status) != ConnectionStatus.DISCONNECTED)
        ).all()
    told = sum(1 for _, began, ends, _ in rows if ends and ends > now and lasted_a_week(began, ends))
    died = sum(
        1
        for status, began, _, at in rows
        if status == ConnectionStatus.NEEDS_RECONNECT and lasted_a_week(began, at)
    )
    if not told and not died:
        return []
    said = f"Google names such an end for {told}" if told else f"{died} lost the access at that age"
    return [
        warning(
            "google testing",
            f"Google's project seems to be in testing, where every grant ends after 7 days: {said}.",
            _TESTING_ADVICE,
        )
    ]
