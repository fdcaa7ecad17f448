"""Forms whose answer is a secret that stays in the browser: an API token, a webhook's. See ``secret_form.js``."""

from __future__ import annotations

import reflex as rx

_SOURCE = rx.asset("secret_form.js", shared=True)


class SecretForm(rx.Component):
    """Posts its fields ``url``, ``description`` and ``events``, if it has them, to ``path`` of the HTTP API, in a
    workspace (its slug), and shows the secret that it answers; ``on_made`` hears of it."""

    library = _SOURCE.importable_path
    tag = "SecretForm"
    path: rx.Var[str]
    workspace: rx.Var[str]
    on_made: rx.EventHandler[rx.event.no_args_event_spec]


class TokenForm(rx.Component):
    """Makes an API token of its fields ``token_name``, ``scope`` and ``days`` and shows its secret; ``on_made`` hears
    that there is one more."""

    library = _SOURCE.importable_path
    tag = "TokenForm"
    on_made: rx.EventHandler[rx.event.no_args_event_spec]


secret_form = SecretForm.create
token_form = TokenForm.create
