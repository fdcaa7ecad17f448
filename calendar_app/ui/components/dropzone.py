"""Where a file is chosen or dropped."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.theme import space


def dropzone(
    upload_id: str, *, label: str, hint: str, icon: str, accept: dict[str, list[str]]
) -> rx.Component:
    """``label`` names it for screen readers, ``hint`` is shown until a file is chosen; ``accept``: endings by media
    type. What was chosen is ``rx.selected_files(upload_id)``."""
    files = rx.selected_files(upload_id)
    zone = rx.upload.root(
        rx.flex(
            rx.icon(icon, size=20, aria_hidden="true"),
            rx.cond(
                files.length() > 0,
                rx.text(files.join(", "), size="2", class_name="wrap-anywhere"),
                rx.text(hint, size="2"),
            ),
            direction="column",
            align="center",
            spacing="2",
            padding=space(4),
        ),
        id=upload_id,
        accept=accept,
        max_files=1,
        multiple=False,
        class_name="dropzone",
        role="button",
        aria_label=label,
    )
    _name_file_input(zone, label)
    return zone


def _name_file_input(component: rx.Component, label: str) -> None:
    """The library's own input has no name (WCAG 2.2, 4.1.2)."""
    for child in component.children:
        if isinstance(child, rx.Component):
            if getattr(child, "tag", "") == "input":
                child.custom_attrs["aria-label"] = label
            _name_file_input(child, label)
