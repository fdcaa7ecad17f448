"""The address under which people reach this installation, as an operator changes it; ``BASE_URL`` wins."""

from __future__ import annotations

from dataclasses import dataclass

from calendar_app.db import entered
from calendar_app.db.entered import Group
from calendar_app.db.session import transaction
from calendar_app.services.accounts import operators
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Actor
from calendar_app.services.installation import entry
from calendar_app.settings import current_settings, get_settings


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """``fixed``: the environment decides, nothing can be entered."""

    url: str
    fixed: bool


def get(actor: Actor) -> PublicAddress:
    """:raises Forbidden: the person is no operator."""
    operators.require(actor)
    return PublicAddress(current_settings().public_url, entered.from_environment(get_settings(), Group.SITE))


def save(actor: Actor, address: str) -> PublicAddress:
    """Keep another address: links lead there within seconds, and providers have to know the new redirect URIs.

    :raises Forbidden: no operator. :raises InvalidInput: it is no address. :raises Conflict: the environment decides.
    """
    operators.require(actor)
    entry.require_enterable(Group.SITE)
    url = entry.checked_address(address)
    with transaction() as session:
        entry.keep(
            session, Group.SITE, {"base_url": "" if url == get_settings().public_url else url}, actor.email
        )
        audit_log.record(
            session, actor.workspace_id, actor, "installation.address_entered", "address", "base_url", url=url
        )
    return get(actor)
