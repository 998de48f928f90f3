"""The explorer's panel Teach, by hand of a browser."""

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from browser.conftest import PHOTOGRAPHS

Open = Callable[..., Page]


def test_a_new_picture_teaches_its_class(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    expect(page.locator(".accuracy")).to_contain_text("11 items")
    page.get_by_label("Class", exact=True).fill("document")
    page.locator("input[type=file]").set_input_files(PHOTOGRAPHS / "page.png")
    expect(page.locator(".classes tr", has_text="document").locator("td").first).to_have_text("1")
    assert httpx.get(f"{taught}/items/page.png").json()["label"] == "document"


def test_a_corrected_label_changes_the_figures_and_keeps_the_picture(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    page.get_by_label("chelsea.png").check()
    page.get_by_label("Class", exact=True).fill("texture")
    page.get_by_role("button", name="Give to 1").click()
    expect(page.locator(".classes tr", has_text="texture").locator("td").first).to_have_text("4")
    assert httpx.get(f"{taught}/items/chelsea.png").json()["label"] == "texture"
    assert httpx.get(f"{taught}/thumbnails/chelsea.png").headers["content-type"] == "image/jpeg"


def test_a_class_is_forgotten(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Forget the class space").click()
    expect(page.locator(".confusion thead th")).to_have_text(["animal", "texture", "thing"])
    assert httpx.get(taught).json()["items"] == 8


def test_an_item_is_forgotten_and_a_class_taken_away(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    page.on("dialog", lambda dialog: dialog.accept())
    expect(page.locator(".accuracy")).to_contain_text("of 11 items")
    page.get_by_label("horse.png").check()
    page.get_by_role("button", name="Forget", exact=True).first.click()
    expect(page.locator(".accuracy")).to_contain_text("of 10 items")
    page.get_by_label("chelsea.png").check()
    page.get_by_role("button", name="Take it away").click()
    expect(page.locator(".confusion thead th")).to_have_text(["space", "texture", "thing"])
    assert httpx.get(f"{taught}/items/horse.png").status_code == httpx.codes.NOT_FOUND
    assert httpx.get(f"{taught}/items/chelsea.png").json()["label"] is None


def test_a_text_is_added(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    page.get_by_label("Class", exact=True).fill("animal")
    page.get_by_label("Text", exact=True).fill("a kitten asleep")
    page.keyboard.press("Enter")
    expect(page.locator(".accuracy")).to_contain_text("of 12 items")
    assert httpx.get(f"{taught}/items/a kitten asleep").json()["label"] == "animal"
