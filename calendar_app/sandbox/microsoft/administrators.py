"""Organizations where only an administrator consents: the page that stops people, and the admin consent endpoint.

An organization is the domain of an e-mail address; whoever opens the endpoint is taken for its administrator. Source:
https://learn.microsoft.com/entra/identity-platform/v2-admin-consent,
.../identity/enterprise-apps/application-sign-in-unexpected-user-consent-error.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calendar_app.sandbox.environment import MICROSOFT_CLIENT_ID
from calendar_app.sandbox.microsoft import scopes as known_scopes
from calendar_app.sandbox.microsoft.mailboxes import TENANT_ID, is_personal
from calendar_app.sandbox.microsoft.rules import ADMINISTRATOR
from calendar_app.sandbox.oauth import ADDRESS, OAuth, fields
from calendar_app.sandbox.pages import form_of, refuse_cross_site
from calendar_app.sandbox.rules import Rules

_PEOPLE_MAY = known_scopes.IDENTITY | known_scopes.PROFILE


class Administrators:
    """Who has consented for an organization, and the endpoint where they do."""

    def __init__(self, oauth: OAuth, rules: Rules) -> None:
        self.oauth, self.grants, self.rules = oauth, oauth.grants, rules

    def routes(self) -> list[Route]:
        path = "/{tenant}/v2.0/adminconsent"
        return [Route(path, self.ask, methods=["GET"]), Route(path, self.decide, methods=["POST"])]

    def wanted(self, email: str, scopes: tuple[str, ...]) -> bool:
        """Whether an administrator has to consent before this person can."""
        if ADMINISTRATOR not in self.rules or is_personal(email):
            return False
        return bool(set(scopes) - _PEOPLE_MAY - self.grants.consent(_organization(email)))

    async def ask(self, request: Request) -> Response:
        """What the administrator is asked to allow."""
        return self._page(request, request.url.query)

    async def decide(self, request: Request) -> Response:
        """The administrator's answer goes to the application, with its state and never with a code."""
        refuse_cross_site(request)
        form = await form_of(request)
        query = form.get("request", "")
        given, scopes, problem = self._checked(request, query)
        if problem:
            return self._page(request, query)
        email = form.get("email", "").strip().lower()
        if form.get("decision") != "allow":
            declined = {
                "admin_consent": "True",
                "error": "access_denied",
                "error_description": "AADSTS65004: The resource owner or authorization server denied the request.",
            }
            return self.oauth.back(given, declined)
        if not ADDRESS.match(email) or is_personal(email):
            return self._page(request, query, "Sign in with the account of an organization.")
        self.grants.add_consent(_organization(email), scopes)
        agreed = {"admin_consent": "True", "tenant": TENANT_ID, "scope": known_scopes.answered(scopes)}
        return self.oauth.back(given, agreed)

    def _checked(self, request: Request, query: str) -> tuple[dict[str, str], tuple[str, ...], str]:
        given = fields(query)
        scopes = known_scopes.canonical(given.get("scope", "")) or ()
        problem = ""
        if given.get("client_id") != MICROSOFT_CLIENT_ID:
            problem = "AADSTS700016: The application was not found."
        elif given.get("redirect_uri") not in self.oauth.redirect_uris:
            problem = "AADSTS50011: The redirect URI does not match the ones registered."
        elif not scopes:
            problem = "AADSTS70011: The provided value for scope is not valid."
        elif request.path_params["tenant"] in ("common", "consumers"):
            problem = "AADSTS900144: Personal accounts have no administrator: use organizations or a tenant."
        return given, scopes, problem

    def _page(self, request: Request, query: str, mistake: str = "") -> Response:
        _, scopes, problem = self._checked(request, query)
        if problem:
            error, _, detail = problem.partition(": ")
            return self.oauth.refusal_page(request, error, detail)
        return self.oauth.pages.render(
            request,
            "administrator.html",
            400 if mistake else 200,
            action=request.url.path,
            query=query,
            permissions=[known_scopes.KNOWN[name] for name in scopes],
            problem=mistake,
        )


def _organization(email: str) -> str:
    return f"*@{email.rpartition('@')[2]}"
