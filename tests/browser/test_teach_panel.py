"""The explorer's panel Teach, by hand of a browser."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from browser.conftest import PHOTOGRAPHS, fill

Open = Callable[..., Page]


@pytest.fixture
def taught(server: str) -> Iterator[str]:
    """A collection of its own, listed first, to change."""
    with httpx.Client(base_url=server, timeout=60) as api:
        fill(api, "a-class")
        yield f"{server}/v1/collections/a-class"
        api.delete("/v1/collections/a-class")


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
