"""``/settings/security``: the password, second factors, where one is signed in, API tokens."""

from calendar_app.ui.pages.security.page import account_security
from calendar_app.ui.pages.security.state import PATH

__all__ = ["PATH", "account_security"]
