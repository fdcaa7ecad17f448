"""Who may do what: five roles in order, and the person who acts in a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from calendar_app.errors import Forbidden


class Role(StrEnum):
    """A member's role in one workspace, weakest first; ``>=`` compares rank.

    Customers see what is theirs, staff connect calendars and work with bookings, managers do so for everybody,
    admins and the owner also run the workspace.
    """

    CUSTOMER = "customer"
    STAFF = "staff"
    MANAGER = "manager"
    ADMIN = "admin"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < Role(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Role(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Role(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Role(other).rank


@dataclass(frozen=True, slots=True)
class Actor:
    """A person acting in one workspace, with the role they hold there; ``timezone`` is the person's IANA zone.

    ``token`` names the API token through which they act, empty in a browser.
    """

    person_id: str
    workspace_id: str
    role: Role
    email: str
    name: str
    timezone: str
    token: str = ""

    def require(self, role: Role) -> None:
        """:raises Forbidden: the role held here is weaker than ``role``."""
        if self.role < role:
            raise Forbidden(f"This needs the role {role.value}; yours here is {self.role.value}.")
