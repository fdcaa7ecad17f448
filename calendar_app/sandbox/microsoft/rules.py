"""What the real Microsoft 365 does and this stand-in only on demand (:mod:`calendar_app.sandbox.rules`)."""

from __future__ import annotations

from calendar_app.sandbox.rules import Rule

ONE_SUBSCRIPTION = "one_subscription"
PAUSES = "pauses"
RULES = {
    # https://learn.microsoft.com/graph/api/subscription-post-subscriptions ("duplicate subscription behavior"). It is
    # not enforced everywhere: https://learn.microsoft.com/answers/questions/5600330.
    ONE_SUBSCRIPTION: Rule("A second subscription to the same changes of a calendar is refused with 409."),
    # https://learn.microsoft.com/graph/change-notifications-lifecycle-events#reauthorizationrequired-notifications
    PAUSES: Rule(
        "Notifications pause once the access token that made a subscription has ended, until it is renewed; "
        "what changes meanwhile is never told."
    ),
}
