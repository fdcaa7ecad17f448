"""The form that makes an API token, in the browser alone. See ``token_form.js``."""

from __future__ import annotations

import reflex as rx


class TokenForm(rx.Component):
    """Posts its fields ``token_name``, ``scope`` and ``days`` to the HTTP API and shows the secret that it answers;
    ``on_made`` hears that there is one more."""

    library = rx.asset("token_form.js", shared=True).importable_path
    tag = "TokenForm"
    on_made: rx.EventHandler[rx.event.no_args_event_spec]


token_form = TokenForm.create
