"""What the real Microsoft 365 does and this stand-in only on demand (:mod:`calendar_app.sandbox.rules`)."""

from __future__ import annotations

from calendar_app.sandbox.rules import Rule

ONE_SUBSCRIPTION = "one_subscription"
PAUSES = "pauses"
ADMINISTRATOR = "administrator"
APPROVAL = "approval"
PERSONAL = "personal"
ETAGS = "etags"
READ_SCOPE = "read_scope"
REWRITES = "rewrites"
ASSIGNED = "assigned"
CONDITIONAL_ACCESS = "conditional_access"
MANAGED_DEVICE = "managed_device"
TEAMS_LATER = "teams_later"
TEAMS_NEVER = "teams_never"
TEAMS_FAILS = "teams_fails"
TEAMS_REFUSED = "teams_refused"
RULES = {
    # https://learn.microsoft.com/graph/api/subscription-post-subscriptions ("duplicate subscription behavior"). It is
    # not enforced everywhere: https://learn.microsoft.com/answers/questions/5600330.
    ONE_SUBSCRIPTION: Rule("A second subscription to the same changes of a calendar is refused with 409."),
    # https://learn.microsoft.com/graph/change-notifications-lifecycle-events#reauthorizationrequired-notifications
    PAUSES: Rule(
        "Notifications pause once the access token that made a subscription has ended, until it is renewed; "
        "what changes meanwhile is never told."
    ),
    # https://learn.microsoft.com/entra/identity/enterprise-apps/configure-user-consent
    ADMINISTRATOR: Rule(
        "Work accounts need an administrator's consent first. Accounts at outlook.com, hotmail.com and live.com are "
        "personal and do not.",
        strict=False,
    ),
    # https://learn.microsoft.com/entra/identity/enterprise-apps/configure-admin-consent-workflow
    # https://learn.microsoft.com/graph/api/calendar-getschedule: "personal Microsoft account: not supported". What they
    # answer for single calendars no source says; this is the worse of the two.
    PERSONAL: Rule(
        "Personal accounts have no getSchedule, no Teams meetings, and neither changes nor subscriptions of a single "
        "calendar."
    ),
    # https://learn.microsoft.com/graph/api/subscription-post-subscriptions, table of permissions
    READ_SCOPE: Rule("Subscriptions need the permission Calendars.Read itself."),
    # microsoft-graph-docs issue 14632
    ETAGS: Rule("Entity tags change by themselves soon after each write.", strict=False),
    # https://learn.microsoft.com/graph/api/event-update ("body property and online meetings"), and
    # https://learn.microsoft.com/defender-office-365/safe-links-about
    REWRITES: Rule(
        "After each write Exchange lays the text out anew: addresses become links that lead through Safe Links, and "
        "the event becomes a Teams meeting, which ends when a later write leaves its block out.",
        strict=False,
    ),
    # https://learn.microsoft.com/entra/identity-platform/reference-error-codes, for these three
    ASSIGNED: Rule(
        "Only people whom an administrator assigned to the application may use it (AADSTS50105), and nobody is.",
        strict=False,
    ),
    CONDITIONAL_ACCESS: Rule("Conditional Access blocks every sign-in (AADSTS53003).", strict=False),
    MANAGED_DEVICE: Rule(
        "Conditional Access wants a managed device (AADSTS530003), which is found out only when tokens are asked for.",
        strict=False,
    ),
    # https://learn.microsoft.com/graph/api/resources/event (onlineMeeting: "the default is null")
    TEAMS_LATER: Rule(
        "A Teams meeting is still being made when its event is written, and the next time it is read."
    ),
    TEAMS_NEVER: Rule("Teams meetings are never made, and nothing says so.", strict=False),
    # microsoftgraph/microsoft-graph-docs issue 9741
    TEAMS_FAILS: Rule("Events that ask for a Teams meeting are made without one, with 201.", strict=False),
    # microsoftgraph/microsoft-graph-docs-contrib issue 5489
    TEAMS_REFUSED: Rule("Events that ask for a Teams meeting are refused with 400.", strict=False),
    APPROVAL: Rule("Where an administrator has to consent, people can send a request.", strict=False),
}
