"""The languages that customers read, and the catalogues of their sentences.

English sentences stand in the code and the templates; ``<language>/LC_MESSAGES/messages.po`` holds each of them in
another language. The files are read as they are, so that nothing has to be built. Formats of dates and times come from
CLDR (Babel), and follow the reader's region where the browser names one: ``en-GB`` counts to 24, ``en-US`` to 12.

Two languages are for tests and are not offered in production: ``en-XA`` makes every sentence longer and accented, and
``ar-XB`` is written from right to left. A sentence that shows unchanged in them stands outside of the catalogues.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent
SOURCE = "en"
NAMES = {"en": "English", "de": "Deutsch"}
"""Languages that are offered, under the names that their speakers give them."""
PSEUDO = {"en-XA": "Pseudo", "ar-XB": "Pseudo, right to left"}
_LONGEST = 500
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)
_ACCENTED = str.maketrans("aeiouyAEIOUYcn", "àéîöûýÀÉÎÖÛÝçñ")
_PARTS = re.compile(r"(%\([a-z_]+\)[a-z]|%%|<[^>]*>|&[a-z]+;)")


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A language as one reader has it. ``code`` names the catalogue, ``locale`` the habits of dates and times.

    ``direction``: ``ltr`` or ``rtl``.
    """

    code: str
    locale: Locale
    direction: str
    catalogue: NullTranslations

    @property
    def tag(self) -> str:
        """``de`` or ``de-AT`` (BCP 47): :func:`of_tag` gives the language back."""
        region = "" if self.code in PSEUDO else self.locale.territory
        return f"{self.code}-{region}" if region else self.code

    def gettext(self, message: str) -> str:
        """The sentence in this language; placeholders (``%(name)s``) are filled in by the caller."""
        return self.catalogue.gettext(message)

    def ngettext(self, one: str, many: str, number: int) -> str:
        """The form that goes with the number."""
        return self.catalogue.ngettext(one, many, number)


class _Pseudo(NullTranslations):
    """Every sentence accented and in brackets, so that what was forgotten shows."""

    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)


def pseudo(message: str) -> str:
    """``[Ýöû àré böökéd]``; placeholders and markup stay."""
    parts = (
        part if number % 2 else part.translate(_ACCENTED) for number, part in enumerate(_PARTS.split(message))
    )
    return f"[{''.join(parts)}]"


@cache
def catalogue(code: str) -> NullTranslations:
    """The sentences of a language. The catalogue of the source language is empty."""
    if code in PSEUDO:
        return _Pseudo()
    path = FOLDER / code / "LC_MESSAGES" / "messages.po"
    if code == SOURCE or not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        found = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, found)
    compiled.seek(0)
    return GNUTranslations(compiled)


@lru_cache(maxsize=256)
def language(code: str, region: str = "") -> Language:
    """A language by its code, with the habits of ``region`` (``GB``) where CLDR knows them."""
    if code in PSEUDO:
        return Language(code, Locale("en"), "rtl" if code == "ar-XB" else "ltr", catalogue(code))
    try:
        locale = Locale(code, territory=region or None)
    except UnknownLocaleError:
        locale = Locale(code)
    return Language(code, locale, locale.text_direction, catalogue(code))


def of_tag(tag: str, zone: str = "") -> Language:
    """The language of a tag, ``de`` or ``de-AT``; English for none that there is. Where it names no region, habits are
    those of the IANA ``zone``'s country, if the language is spoken there: English in Berlin counts to 24."""
    if tag in PSEUDO:
        return language(tag)
    code, _, region = tag.partition("-")
    return language(code if code in NAMES else SOURCE, region or get_global("zone_territories").get(zone, ""))


def offered_tag(tag: str, *, pseudo: bool = False) -> str:
    """The tag as :attr:`Language.tag` writes it; empty if no language that is offered is meant."""
    if pseudo and tag in PSEUDO:
        return tag
    found = _tags(tag[:_LONGEST])
    if not _TAG.fullmatch(tag) or not found or found[0][0] not in NAMES:
        return ""
    return language(*found[0]).tag


def choose(
    wanted: Iterable[str], accepted: str, *, fallback: Callable[[], str] = str, pseudo: bool = False
) -> Language:
    """The language of the first of ``wanted`` that is offered, else of the browser's ``Accept-Language`` header
    (RFC 9110 section 12.5.4), else ``fallback``'s, else English. ``pseudo``: those for tests are offered too."""
    offered = {**NAMES, **PSEUDO} if pseudo else NAMES
    from_browser = _tags(accepted[:_LONGEST])
    for code in wanted:
        if code in offered:
            region = next((tag[1] for tag in from_browser if tag[0] == code), "")
            return language(code, region)
    for code, region in from_browser:
        if code in offered:
            return language(code, region)
    last = fallback()
    return language(last if last in offered else SOURCE)


@lru_cache(maxsize=512)
def _tags(header: str) -> tuple[tuple[str, str], ...]:
    """Languages and regions of an ``Accept-Language`` header, the most wanted first."""
    found = []
    for place, part in enumerate(header.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wanted = float(weight) if weight else 1.0
        except ValueError:
            continue
        code, _, rest = tag.strip().partition("-")
        region = rest.rpartition("-")[2].upper()
        known = region if len(region) == 2 and region.isascii() and region.isalpha() else ""
        if code.isascii() and code.isalpha() and wanted > 0:
            found.append((-wanted, place, code.lower(), known))
    return tuple((code, region) for _, _, code, region in sorted(found))
