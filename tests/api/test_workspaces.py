"""A workspace's settings over HTTP."""

from __future__ import annotations

import httpx
import pytest

from calendar_app.services.common.permissions import Role
from tests.support import pictures
from tests.support.people import problem, user

pytestmark = pytest.mark.usefixtures("database")
V1 = "/api/v1/workspaces"


def test_settings_are_read_and_changed(api: httpx.Client) -> None:
    """What is sent changes, what is left out stays; a workspace is found by its id or its slug."""
    ada = user()
    before = api.get(f"{V1}/{ada.workspace_id}", headers=ada.bearer).json()
    changes = {"accent": "#0a7d3c", "allowed_origins": ["https://shop.example"], "auto_sync_bookings": False}
    after = api.patch(f"{V1}/{before['slug']}", json=changes, headers=ada.bearer)
    assert after.status_code == 200, after.text
    assert after.json() == before | changes
    assert api.patch(f"{V1}/{ada.workspace_id}", json={}, headers=ada.bearer).json() == after.json()


def test_bad_values_are_problems(api: httpx.Client) -> None:
    """Each names its field; unknown ones are refused."""
    ada = user()
    for body in ({"accent": "red"}, {"allowed_origins": ["a b"]}, {"timezone": "X/Y"}, {"name": ""}):
        answer = api.patch(f"{V1}/{ada.workspace_id}", json=body, headers=ada.bearer)
        code = "unknown_timezone" if "timezone" in body else "invalid_input"
        assert problem(answer, 422, code)["errors"][0]["field"] == next(iter(body))  # type: ignore[index]
    for wrong in (
        {"slug": "x"},
        {"allowed_origins": "shop.example"},
        {"shows_credit": "maybe"},
        {"accent": None},
    ):
        problem(api.patch(f"{V1}/{ada.workspace_id}", json=wrong, headers=ada.bearer), 422, "invalid_input")


def test_who_may(api: httpx.Client) -> None:
    """Another workspace is not found, staff read and do not change, nobody else reads."""
    ada, bob = user(), user("bob@example.com", role=Role.STAFF)
    problem(api.get(f"{V1}/{ada.workspace_id}", headers=bob.bearer), 404, "not_found")
    problem(api.patch(f"{V1}/{ada.workspace_id}", json={}, headers=bob.bearer), 404, "not_found")
    assert api.get(f"{V1}/{bob.workspace_id}", headers=bob.bearer).status_code == 200
    problem(api.patch(f"{V1}/{bob.workspace_id}", json={}, headers=bob.bearer), 403, "forbidden")
    problem(api.put(f"{V1}/{bob.workspace_id}/logo", content=b"", headers=bob.bearer), 403, "forbidden")
    problem(api.get(f"{V1}/{ada.workspace_id}"), 401, "not_signed_in")


def test_a_logo_is_sent_and_removed(api: httpx.Client) -> None:
    """The file is the body of the request; what is no picture is a problem, and a large one is refused."""
    ada = user()
    path = f"{V1}/{ada.workspace_id}/logo"
    made = api.put(path, content=pictures.png(), headers=ada.bearer | {"Content-Type": "image/png"})
    assert made.json()["logo_url"].endswith("-96x32.png")
    problem(api.put(path, content=b"<svg/>", headers=ada.bearer), 422, "logo_refused")
    problem(api.put(path, content=pictures.bomb(60_000, 60_000), headers=ada.bearer), 422, "logo_refused")
    problem(api.put(path, content=b"x" * 1_100_000, headers=ada.bearer), 413, "too_large")
    assert api.delete(path, headers=ada.bearer).json()["logo_url"] == ""
