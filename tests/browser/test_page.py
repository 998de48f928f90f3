"""The explorer as a whole: who can use it, and what it may do."""

from collections.abc import Callable

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from browser.conftest import DESKTOP, HOSTILE, PHONE

Open = Callable[..., Page]
PANELS = {
    "classify": ".notice",
    "search": ".card img",
    "teach": ".confusion",
    "map": ".plane .figures, .plane .notice",
    "server": ".sheet",
}
WAYS = {
    "desktop": {"viewport": DESKTOP, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("panel", PANELS)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_page(open_page: Open, panel: str, way: str) -> None:
    page = open_page(panel, reduced_motion="reduce", **WAYS[way])
    expect(page.locator(PANELS[panel]).first).to_be_visible()
    found = Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_keyboard_alone_is_enough(open_page: Open) -> None:
    page = open_page("classify")
    expect(page.get_by_role("heading", name="Classify", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the panel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Words").focus()
    page.keyboard.type("a cat")
    expect(page.locator(".card .id").first).to_have_text("chelsea.png")


def test_the_browser_itself_refuses_strings_as_html_and_other_hosts(open_page: Open) -> None:
    page = open_page("classify")
    attempts = page.evaluate(
        """async (html) => {
          const outcome = async (attempt) => {
            try { await attempt(); return "done"; } catch (error) { return error.name; }
          };
          return [
            await outcome(() => { document.body.innerHTML = html; }),
            await outcome(() => fetch("http://203.0.113.1/")),
          ];
        }""",
        HOSTILE,
    )
    assert attempts == ["TypeError", "TypeError"]


def test_the_page_is_asked_after_each_time_and_answered_in_a_few_bytes(server: str) -> None:
    first = httpx.get(f"{server}/explorer/app.js")
    again = httpx.get(f"{server}/explorer/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (first.headers["cache-control"], again.status_code, len(again.content)) == ("no-cache", 304, 0)
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
