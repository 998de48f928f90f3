"""The explorer as a whole: who can use it, and what it may do."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from browser.conftest import HOSTILE
from browser.usability import is_usable

Open = Callable[..., Page]
PANELS = {
    "classify": ".notice",
    "search": ".card img",
    "teach": ".confusion",
    "map": ".plane .figures, .plane .notice",
    "server": ".sheet",
}
CONTROLS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex='0']")]
  .filter((one) => one.checkVisibility() && !one.disabled && !one.reached)"""


def out_of_reach(page: Page) -> list[str]:
    """The controls that the tab key does not come to, or of which it does not show that it has."""
    page.evaluate(
        """() => document.addEventListener("focusin", ({ target }) => {
          target.reached = getComputedStyle(target).outlineStyle !== "none";
        })"""
    )
    for _ in range(page.evaluate(f"({CONTROLS})().length") + 2):
        page.keyboard.press("Tab")
    left: list[str] = page.evaluate(f"({CONTROLS})().map((one) => one.outerHTML)")
    return left


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_is_usable_by_eye_by_ear_and_by_keyboard(open_page: Open, panel: str) -> None:
    page = open_page(panel)
    expect(page.locator(PANELS[panel]).first).to_be_visible()
    is_usable(page)
    assert out_of_reach(page) == []


def judged(page: Page) -> None:
    page.get_by_label("Text", exact=True).fill("a kitten")
    page.get_by_label("Compare with").select_option("all-minilm-l6-v2")
    page.get_by_label("Reject what no label fits").check()
    page.get_by_label("Least cosine of the best label").fill("0.6")
    expect(page.locator(".rejected").first).to_be_visible()
    page.get_by_text("The same request as code").click()


def searched(page: Page) -> None:
    page.get_by_label("More like chelsea.png").click()
    page.get_by_label("Less like brick.png").click()
    page.get_by_label("Value").fill("space")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("hubble_deep_field.jpg").and_(page.get_by_role("checkbox")).check()
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.locator(".card summary").first.click()


def laid_out(page: Page) -> None:
    make = page.get_by_role("button", name="Make the map")
    expect(make.or_(page.locator(".scatter"))).to_be_visible()
    if make.is_visible():
        make.click()
    page.get_by_label("Mark").select_option("near-duplicates")
    expect(page.get_by_text("2 selected")).to_be_visible()


def refused(page: Page) -> None:
    page.route("**/v1/classify", lambda route: route.abort())
    page.get_by_label("Text", exact=True).fill("a kitten")
    expect(page.get_by_role("alert").first).to_be_visible()
    page.get_by_role("button", name="Camera").click()
    expect(page.get_by_role("dialog", name="Camera")).to_contain_text("No camera")


STATES = {"classify": judged, "search": searched, "map": laid_out, "refused": refused}


@pytest.mark.parametrize("state", STATES)
def test_what_people_bring_about_is_usable(open_page: Open, state: str) -> None:
    page = open_page("classify" if state == "refused" else state)
    STATES[state](page)
    is_usable(page)


def test_the_keyboard_alone_finds_and_teaches(open_page: Open, taught: str) -> None:
    page = open_page("classify")
    expect(page.get_by_role("heading", name="Classify", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the panel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Words").focus()
    page.keyboard.type("a cat")
    expect(page.locator(".card .score")).to_have_count(
        11
    )  # what was there before has none, and begins with the cat too
    expect(page.locator(".card .id").first).to_have_text("chelsea.png")
    for card in range(2):
        page.locator(".card").nth(card).get_by_role("checkbox").focus()
        page.keyboard.press("Space")
    page.get_by_label("Class for the selected items").focus()
    page.keyboard.type("pet")
    page.keyboard.press("Enter")
    expect(page.locator(".card .label", has_text="pet")).to_have_count(2)
    expect(page.get_by_text("2 selected")).to_have_count(0)
    assert httpx.get(taught).json()["labels"]["pet"] == 2
    page.get_by_role("link", name="Teach").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".classes tr", has_text="pet").locator("td").first).to_have_text("2")


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
