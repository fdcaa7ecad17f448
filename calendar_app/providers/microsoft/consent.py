"""What Entra's refusals to let a person consent mean, and where an administrator consents for everybody.

Microsoft's default policy has kept calendar permissions from people since November 2025
(https://blog-en.topedia.com/?p=58770, on the message centre's announcement), so most work accounts need an
administrator first: https://learn.microsoft.com/entra/identity-platform/v2-admin-consent.

"Never use error_description to react to an error"
(https://learn.microsoft.com/entra/identity-platform/reference-error-codes): its numbers may change, so they only choose
a sentence, and a refusal without a known one offers the way to the administrator too. AADSTS65004 is "declined"; that
it also comes back when a person leaves the page "Need admin approval" is likely, and provided for.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from calendar_app.providers.base import ClientAnswer, ConsentRefusal

_NUMBER = re.compile(r"AADSTS(\d{4,7})\b")
_POLICIES = (
    "50005 50097 50131 53000 53001 53002 53003 53004 53009 53010 53011 "
    "530001 530002 530003 530021 530031 530032 530034 530035"
)
"""Conditional Access: of the device, of the application, of the place, of a rule's own. Those of six digits are not in
Microsoft's list, but in answers that people show (msal and azure-cli issues)."""
_BY_NUMBER = {
    # https://learn.microsoft.com/entra/identity/enterprise-apps/application-sign-in-unexpected-user-consent-error
    "65001": ConsentRefusal.ADMINISTRATOR,
    "90093": ConsentRefusal.ADMINISTRATOR,
    "90094": ConsentRefusal.ADMINISTRATOR,
    "90095": ConsentRefusal.REQUESTED,  # MicrosoftDocs/azure-docs issue 80997
    "65004": ConsentRefusal.DECLINED,
    "50105": ConsentRefusal.NOT_ASSIGNED,
    **dict.fromkeys(_POLICIES.split(), ConsentRefusal.POLICY),
    **dict.fromkeys(("50058", "50072", "50074", "50076", "50078", "50079", "50158"), ConsentRefusal.SIGN_IN),
}
_BY_ERROR = {
    "access_denied": ConsentRefusal.DECLINED,
    "consent_required": ConsentRefusal.ADMINISTRATOR,
    "interaction_required": ConsentRefusal.SIGN_IN,
    "login_required": ConsentRefusal.SIGN_IN,
}


def refused(error: str, description: str) -> ConsentRefusal | None:
    """What ``error`` and ``error_description`` of the callback or the token endpoint say of a person's consent."""
    number = _NUMBER.search(description)
    return (_BY_NUMBER.get(number[1]) if number else None) or _BY_ERROR.get(error)


_CLIENT = {
    "7000215": ClientAnswer.REFUSED,
    "7000222": ClientAnswer.EXPIRED,
    "700016": ClientAnswer.REFUSED,
    # "Request is malformed": told of codes before anything is told of the secret (msal and dnn.azureadprovider issues).
    "9002313": ClientAnswer.UNPROVEN,
    "50011": ClientAnswer.REDIRECT,
}
"""https://learn.microsoft.com/entra/identity-platform/reference-error-codes, and for secrets
https://learn.microsoft.com/azure/developer/java/sdk/troubleshooting-authentication-service-principal."""


def client_answer(_error: str, description: str) -> ClientAnswer | None:
    """What the token endpoint's refusal of a code that nobody issued says of our client id and secret."""
    number = _NUMBER.search(description)
    return _CLIENT.get(number[1]) if number else None


def administrators_address(authorize: str) -> str:
    """The admin consent endpoint beside the authorization endpoint ``authorize``, in whichever cloud that is.

    For an application of many tenants it is ``organizations``: with ``common`` personal accounts are let in, which have
    no administrator.
    """
    parts = urlsplit(authorize)
    before, found, _ = parts.path.partition("/oauth2/")
    place, _, tenant = before.rpartition("/")
    if not found or tenant == "consumers":
        return ""
    tenant = "organizations" if tenant == "common" else tenant
    return f"{parts.scheme}://{parts.netloc}{place}/{tenant}/v2.0/adminconsent"
