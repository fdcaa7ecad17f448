"""An organization whose administrator has to agree first, as its people and its administrator see it."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, Visitors
from tests.e2e.test_providers import newcomer


def switch(product: Product, *, on: bool, rule: str = "administrator") -> None:
    """The rule of the stand-in that makes it so."""
    address = f"{product.url}/sandbox/api/microsoft/rules/{rule}"
    httpx.put(address, json={"on": on}, timeout=20).raise_for_status()


def try_to_connect(page: Page, email: str) -> None:
    page.goto("/settings/calendars")
    page.get_by_role("button", name="Connect Microsoft").click()
    page.get_by_label("Another e-mail address").fill(email)
    page.get_by_role("button", name="Allow").click()


def test_an_administrator_agrees(product: Product, visitors: Visitors) -> None:
    """Stopped, told why, a link to copy; the administrator agrees in a browser of their own; connected."""
    staff, _ = newcomer(visitors, "Wanda")
    email = "wanda@office.example"
    switch(product, on=True)
    try:
        try_to_connect(staff, email)
        staff.get_by_role("button", name="Return to the application").click()
        expect(staff.get_by_role("alert")).to_contain_text("send your administrator the link")
        staff.get_by_role("button", name="Get a link for the administrator").click()
        link = staff.get_by_label("Send this address to your administrator.")
        expect(link).to_have_value(re.compile(r"/organizations/v2\.0/adminconsent\?"))
        administrator = visitors.new()
        administrator.goto(link.input_value())
        administrator.get_by_label("The administrator's e-mail address").fill("boss@office.example")
        administrator.get_by_role("button", name="Accept").click()
        expect(administrator.get_by_role("heading", name="Thank you, that is done")).to_be_visible()
        try_to_connect(staff, email)
        staff.wait_for_url("**/settings/calendars?connected=*")
    finally:
        switch(product, on=False)


def test_a_rule_of_the_organization_is_told(product: Product, visitors: Visitors) -> None:
    """Somebody who is not assigned to the application, or on a device that is not managed, reads what to do."""
    staff, _ = newcomer(visitors, "Vera")
    for rule, words in (
        ("assigned", "Ask your administrator to assign you to the application in Entra"),
        ("conditional_access", "A sign-in rule of your organization blocked this"),
        ("managed_device", "try from a device that your organization manages"),
    ):
        switch(product, on=True, rule=rule)
        try:
            try_to_connect(staff, "vera@office.example")
            expect(staff.get_by_role("alert")).to_contain_text(words)
        finally:
            switch(product, on=False, rule=rule)
