"""HTML elements as the browser has them: forms that really post, and links that really leave the application.

Reflex's own ``rx.el.form`` always prevents the browser from posting it, and ``rx.el.a`` always navigates inside the
application, where an address of the HTTP API is an unknown page.
"""

from __future__ import annotations

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML  # type: ignore[import-untyped]  # Reflex ships no types
from reflex_components_core.el.elements.inline import A  # type: ignore[import-untyped]  # as above


class PlainForm(BaseHTML):
    """A ``<form>`` that the browser posts."""

    tag = "form"
    action: rx.Var[str]
    method: rx.Var[str]


form = PlainForm.create
link = A.create
