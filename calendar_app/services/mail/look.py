"""How a workspace's emails look: its name, its colour and its logo."""

from __future__ import annotations

import struct

from sqlmodel import Session

from calendar_app.db.tables import Workspace, WorkspaceLogo
from calendar_app.services.mail.rendering import Logo, Look


def look_of(session: Session, workspace: Workspace) -> Look:
    """The workspace's look. The logo is a PNG that we made ourselves: its size stands behind its first chunk's name
    (W3C PNG, section 11.2.1)."""
    kept = session.get(WorkspaceLogo, workspace.id) if workspace.logo else None
    if kept is None:
        return Look(workspace.name, workspace.accent)
    width, height = struct.unpack(">II", kept.content[16:24])
    return Look(workspace.name, workspace.accent, Logo(kept.name, kept.content, width, height))
