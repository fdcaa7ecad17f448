"""What the real Calendly does and this stand-in only on demand (:mod:`calendar_app.sandbox.rules`)."""

from __future__ import annotations

from calendar_app.sandbox.rules import Rule

APP_SIGNED = "app_signed"
NO_WEBHOOKS = "no_webhooks"

RULES = {
    # https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures, "for OAuth 2.0"
    APP_SIGNED: Rule(
        "Webhooks are signed with the key of the OAuth app, not with the one of the subscription."
    ),
    # https://developer.calendly.com/release-notes/2026/11/3: until then free plans had none
    NO_WEBHOOKS: Rule("The plan has no webhooks: subscribing is refused with 403.", strict=False),
}
