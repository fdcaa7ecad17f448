"""Which sentences customers read, and which of them a catalogue lacks. ``python -m calendar_app.translations.extract``
brings the catalogues up to date: new sentences are added empty, those that are gone are taken out."""

from __future__ import annotations

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from calendar_app.translations import FOLDER, NAMES, SOURCE

ROOMS = (FOLDER.parent / "booking_site", FOLDER.parent / "services")
_METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")]
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
_OPTIONS = {"**/templates/**.html": {"trimmed": "true", "silent": "false"}}


def sentences() -> Catalog:
    """Every sentence of :data:`ROOMS`."""
    found = Catalog(project="Almanac", charset="utf-8")
    for room in ROOMS:
        for name, line, message, comments, context in extract_from_dir(
            str(room), _METHODS, _OPTIONS, keywords=_KEYWORDS
        ):
            place = Path(room.name, name).as_posix()
            found.add(message, None, [(place, line)], auto_comments=comments, context=context)
    return found


def stored(code: str) -> Catalog:
    """The catalogue of a language as it is kept."""
    with (FOLDER / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=code)


def update(code: str) -> None:
    """Add what is new to a catalogue, and take out what is gone."""
    path = FOLDER / code / "LC_MESSAGES" / "messages.po"
    catalogue = stored(code) if path.exists() else Catalog(locale=code)
    catalogue.update(sentences(), no_fuzzy_matching=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(
            file,
            catalogue,
            width=110,
            omit_header=True,
            ignore_obsolete=True,
            include_lineno=False,
            sort_output=True,
        )


if __name__ == "__main__":
    for language_code in NAMES:
        if language_code != SOURCE:
            update(language_code)
