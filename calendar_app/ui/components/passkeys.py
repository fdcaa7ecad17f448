"""Second factors in the browser alone: keys, codes and passkeys never become part of a page's state. See
``passkeys.js``."""

from __future__ import annotations

import reflex as rx

_SOURCE = rx.asset("passkeys.js", shared=True)


class PasskeyButton(rx.Component):
    """Signs in with a passkey and goes on at ``next_path``; nothing where the browser has none."""

    library = _SOURCE.importable_path
    tag = "PasskeyButton"
    next_path: rx.Var[str]
    label: rx.Var[str]


class SecondFactorForms(rx.Component):
    """Adds an authenticator app or a passkey, and makes recovery codes; ``has_factors`` says whether there are any,
    ``on_changed`` hears that something is different."""

    library = _SOURCE.importable_path
    tag = "SecondFactorForms"
    has_factors: rx.Var[bool]
    on_changed: rx.EventHandler[rx.event.no_args_event_spec]


class RemoveFactor(rx.Component):
    """Removes the factor ``factor`` after asking for the password."""

    library = _SOURCE.importable_path
    tag = "RemoveFactor"
    factor: rx.Var[str]
    label: rx.Var[str]
    on_changed: rx.EventHandler[rx.event.no_args_event_spec]


passkey_button = PasskeyButton.create
second_factor_forms = SecondFactorForms.create
remove_factor = RemoveFactor.create
