"""A page as a browser without JavaScript has it: links, forms and words; and a customer who walks through pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx


@dataclass
class Button:
    """A submit button: its words, its own name and value, and the address that it sends to instead of its form's."""

    name: str
    value: str
    action: str
    form: str
    label: str = ""


@dataclass
class Form:
    id: str
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """``text``: what is read; ``links``: address by words; ``forms`` and ``buttons`` in their order."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.status, self.url, self.html = answer.status_code, str(answer.url), answer.text
        self.headers = answer.headers
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self.buttons: list[Button] = []
        self.title = ""
        self._words: list[str] = []
        self._open: list[str] = []
        self._inputs: list[tuple[str, str, str]] = []
        self._link: list[str] | None = None
        self._href = ""
        self._area: tuple[str, str] | None = None
        self._select: tuple[str, str] | None = None
        self._option: tuple[str, str] | None = None
        self.feed(self.html)
        for owner, name, value in self._inputs:
            for form in self.forms:
                if form.id == owner:
                    form.fields[name] = value

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self._words)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        owner = found.get("form", self.forms[-1].id if "form" in self._open else "")
        if tag == "a":
            self._link, self._href = [], found.get("href", "")
        elif tag == "form":
            name = found.get("id") or f"form-{len(self.forms)}"
            self.forms.append(
                Form(name, urljoin(self.url, found.get("action", "")), found.get("method", "get"))
            )
        elif tag == "input" and found.get("name"):
            if found.get("type") != "checkbox" or "checked" in found:
                self._inputs.append((owner, found["name"], found.get("value", "")))
        elif tag == "textarea":
            self._area = (owner, found["name"])
            self._inputs.append((*self._area, ""))
        elif tag == "select":
            self._select = (owner, found["name"])
            self._inputs.append((*self._select, ""))
        elif tag == "option":
            self._option = self._select if "selected" in found else None
            if self._option is not None and "value" in found:
                self._inputs.append((*self._option, found["value"]))
                self._option = None
        elif tag == "button":
            action = urljoin(self.url, found["formaction"]) if "formaction" in found else ""
            self.buttons.append(Button(found.get("name", ""), found.get("value", ""), action, owner))
        if tag in ("a", "button", "form", "title", "script", "style", "textarea"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link is not None:
            self.links[re.sub(r"\s+", " ", "".join(self._link)).strip()] = self._href
            self._link = None
        if tag == "textarea":
            self._area = None
        if tag in self._open:
            self._open.reverse()
            self._open.remove(tag)
            self._open.reverse()

    def handle_data(self, data: str) -> None:
        if "title" in self._open:
            self.title += data
            return
        if self._area is not None:
            owner, name = self._area
            self._inputs.append((owner, name, data.strip("\n")))
        if self._option is not None:
            self._inputs.append((*self._option, data))
            self._option = None
        self._words.append(data)
        if self._link is not None:
            self._link.append(data)
        if "button" in self._open:
            self.buttons[-1].label = re.sub(r"\s+", " ", self.buttons[-1].label + data).strip()

    def form(self, form_id: str) -> Form:
        return next(form for form in self.forms if form.id == form_id)

    def button(self, label: str) -> Button:
        return next(button for button in self.buttons if label in button.label)

    def link(self, label: str) -> str:
        return next(href for words, href in self.links.items() if label in words)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def slots(self) -> list[Button]:
        return [button for button in self.buttons if button.name == "start" and button.form == "pick"]


def visit(browser: httpx.Client, path: str) -> Page:
    """Open an address, and follow where it leads."""
    return Page(browser.get(path, follow_redirects=True))


def request_of(page: Page, button: Button, **typed: str) -> tuple[str, dict[str, str]]:
    """Where pressing the button sends what, after typing."""
    form = page.form(button.form)
    data = form.fields | typed | ({button.name: button.value} if button.name else {})
    return button.action or form.action, data


def press(browser: httpx.Client, page: Page, label: str, **typed: str) -> Page:
    """Type, press a button, and follow where that leads."""
    address, data = request_of(page, page.button(label), **typed)
    return Page(browser.post(address, data=data, follow_redirects=True))


def pick(browser: httpx.Client, page: Page, start: str = "") -> Page:
    """Choose a time: the first, or the one that starts then."""
    button = next(slot for slot in page.slots if start in ("", slot.value))
    address, data = request_of(page, button)
    return Page(browser.post(address, data=data, follow_redirects=True))
