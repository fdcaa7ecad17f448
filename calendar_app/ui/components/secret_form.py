"""The form that makes a webhook, or a new secret for one, in the browser alone. See ``secret_form.js``."""

from __future__ import annotations

import reflex as rx


class SecretForm(rx.Component):
    """Posts its fields ``url``, ``description`` and ``events``, if it has them, to ``path`` of the HTTP API, in a
    workspace (its slug), and shows the secret that it answers; ``on_made`` hears of it."""

    library = rx.asset("secret_form.js", shared=True).importable_path
    tag = "SecretForm"
    path: rx.Var[str]
    workspace: rx.Var[str]
    on_made: rx.EventHandler[rx.event.no_args_event_spec]


secret_form = SecretForm.create
