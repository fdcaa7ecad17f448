"""A workspace and how its booking pages look."""

from __future__ import annotations

from fastapi import Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from calendar_app.api.deps import CurrentIdentity
from calendar_app.api.fields import Body, Flag, Key
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.api.versions import IfMatch, Tag
from calendar_app.services.workspaces import settings
from calendar_app.services.workspaces.settings import WorkspaceView

router = Router(prefix="/workspaces", tags=["workspaces"])

_IMAGES = {"image/*": {"schema": {"type": "string", "format": "binary"}}}


class WorkspaceChange(Body):
    """What to change; what is left out stays. ``allowed_origins`` are sites that may embed the booking pages and call
    the public API from a browser (``https://www.example.com``, ``https://*.example.com``); none: every site.
    ``accent``: ``#rrggbb``. ``language``: ``en`` or ``de``, for customers whose browser asks for neither."""

    name: str = Field(default="", max_length=100)
    timezone: str = Field(default="", max_length=64)
    language: str = Field(default="", max_length=16)
    accent: str = Field(default="", max_length=16)
    auto_sync_bookings: Flag = True
    allowed_origins: list[str] = Field(default=[], max_length=50)
    confirmation_text: str = Field(default="", max_length=settings.MOST_WORDS)
    shows_credit: Flag = True


@router.get("/{workspace_id}")
def get_workspace(identity: CurrentIdentity, workspace_id: Key, tag: Tag) -> WorkspaceView:
    """A workspace that you work in, by id or slug."""
    return tag(settings.get(identity.actor(workspace_id)))


@router.patch("/{workspace_id}", responses=fails("unknown_timezone"))
def update_workspace(
    identity: CurrentIdentity, workspace_id: Key, body: WorkspaceChange, unless_changed: IfMatch, tag: Tag
) -> WorkspaceView:
    """Change what is named; for admins and owners."""
    check = unless_changed.check_for(lambda view: view)
    return tag(settings.update(identity.actor(workspace_id), body.given(), check=check))


@router.put(
    "/{workspace_id}/logo",
    openapi_extra={"requestBody": {"required": True, "content": _IMAGES}},
    responses=fails("logo_refused"),
)
async def set_logo(request: Request, identity: CurrentIdentity, workspace_id: Key) -> WorkspaceView:
    """Show a logo on the booking pages: the bytes of a PNG, JPEG or WebP file of at most 900 KB as the body. It is
    written anew as a small PNG."""
    content = await request.body()
    return await run_in_threadpool(settings.set_logo, identity.actor(workspace_id), content)


@router.delete("/{workspace_id}/logo")
def remove_logo(identity: CurrentIdentity, workspace_id: Key) -> WorkspaceView:
    """Show no logo."""
    return settings.remove_logo(identity.actor(workspace_id))
