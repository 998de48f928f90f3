"""The ways in which a picture comes in: dropped, pasted, taken by the camera."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import JSHandle, Page, expect

from browser.conftest import as_base64

Open = Callable[..., Page]
PASTE = """(carried) => document.activeElement.dispatchEvent(
  new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }))"""


def transfer(page: Page, *photographs: str, **files: str) -> JSHandle:
    """What a drag or the clipboard carries: photographs, and files as base64."""
    return page.evaluate_handle(
        """(files) => {
          const carried = new DataTransfer();
          for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
            carried.items.add(new File([bytes], name, { type: "image/png" }));
          }
          return carried;
        }""",
        [*files.items(), *((file, as_base64(file)) for file in photographs)],
    )


def test_a_picture_is_dropped_and_one_that_misses_its_place_does_not_replace_the_page(open_page: Open) -> None:
    page = open_page("classify")
    zone = page.locator(".drop")
    expect(zone).to_be_visible()
    dragged = transfer(page, "coffee.png")
    is_left_to_the_browser = page.evaluate(
        """(carried) => document.querySelector("h1").dispatchEvent(
             new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }))""",
        dragged,
    )
    assert is_left_to_the_browser is False
    expect(page.locator(".preview img")).to_have_count(0)
    zone.dispatch_event("dragover", {"dataTransfer": dragged})
    expect(zone).to_have_class("drop over")
    zone.dispatch_event("drop", {"dataTransfer": dragged})
    expect(zone).to_have_class("drop")
    expect(page.locator(".preview img")).to_have_attribute("alt", "coffee.png")
    expect(page.locator(".bars li").first).to_contain_text("a cup of coffee")


def test_a_picture_is_pasted_and_a_text_goes_where_it_is_pasted(open_page: Open) -> None:
    page = open_page("search")
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate(PASTE, page.evaluate_handle("new DataTransfer()")) is True
    assert page.evaluate(PASTE, transfer(page, "motorcycle_left.png")) is False
    expect(page.get_by_label("Examples").locator("li")).to_have_text([re.compile(r"^pasted 2\d{3}-.*\.png$")])
    expect(page.locator(".card .id").nth(1)).to_have_text("motorcycle_right.png")


def test_several_pictures_are_dropped_to_teach(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    expect(page.locator(".accuracy")).to_contain_text("11 items")
    page.get_by_label("Class", exact=True).fill("document")
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer(page, "page.png", "text.png")})
    expect(page.locator(".classes tr", has_text="document").locator("td").first).to_have_text("2")
    assert page.request.get(f"{taught}/thumbnails/text.png").headers["content-type"] == "image/jpeg"


@pytest.mark.usefixtures("taught")
def test_what_is_wrong_with_one_picture_is_said_and_keeps_no_other_out(open_page: Open) -> None:
    page = open_page("teach")
    expect(page.locator(".accuracy")).to_contain_text("11 items")
    files = transfer(page, "page.png", "text.png", **{"broken.png": "bm90IGFuIGltYWdl"})
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": files})
    expect(page.locator(".gallery")).to_contain_text("text.png")
    expect(page.locator(".gallery")).to_contain_text("page.png")
    expect(page.locator(".fault")).to_contain_text(["broken.png: items[0]: not an image"])


@pytest.mark.usefixtures("taught")
def test_after_a_refusal_of_all_the_rest_is_not_tried(open_page: Open) -> None:
    page = open_page("teach")
    expect(page.locator(".card")).to_have_count(11)
    asked = []
    page.route("**/a-class/items", lambda route: (asked.append(route), route.abort()))
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer(page, "page.png", "text.png", "coins.png")})
    expect(page.locator(".fault")).to_have_text(["page.png: The server does not answer.", "The others were not tried."])
    assert len(asked) == 1


def test_pictures_that_are_pasted_under_one_name_are_items_of_their_own(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    expect(page.locator(".accuracy")).to_contain_text("11 items")
    for items in (12, 13):
        page.evaluate(PASTE, transfer(page, "page.png"))
        expect(page.locator(".card")).to_have_count(items)
    assert page.request.get(taught).json()["items"] == 13


@pytest.mark.usefixtures("taught")
def test_a_picture_that_takes_an_items_place_is_shown(open_page: Open) -> None:
    page = open_page("teach")
    picture = page.locator(".card", has_text="chelsea.png").locator("img")
    expect(picture).to_have_js_property("naturalHeight", 170)
    files = transfer(page, **{"chelsea.png": as_base64("page.png")})
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": files})
    expect(page.locator(".accuracy")).to_contain_text("10 items")
    page.locator(".card", has_text="chelsea.png").scroll_into_view_if_needed()
    expect(picture).to_have_js_property("naturalHeight", 127)


def test_a_drop_of_no_file_says_so_and_where_no_picture_goes_none_is_pasted(open_page: Open, server: str) -> None:
    page = open_page("search")
    expect(page.locator(".card").first).to_be_visible()
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": page.evaluate_handle("new DataTransfer()")})
    expect(page.locator(".fault")).to_contain_text("That holds no file.")
    texts = f"{server}/v1/collections/a-text"
    page.request.put(texts, data={"encoder": "all-minilm-l6-v2"})
    page.reload()
    expect(page.get_by_role("heading", name="This collection is empty")).to_be_visible()
    assert page.evaluate(PASTE, transfer(page, "coffee.png")) is True
    page.request.delete(texts)
    expect(page.get_by_label("Examples").locator("li")).to_have_count(0)


def test_the_camera_takes_a_picture_and_is_let_go(open_page: Open) -> None:
    page = open_page("classify", permissions=["camera"])
    page.evaluate(
        """() => {
          const asked = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (...wanted) => (window.lent = await asked(...wanted));
        }"""
    )
    page.get_by_role("button", name="Camera").click()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator(".preview img")).to_have_attribute("alt", re.compile(r"^camera 2\d{3}-.*\.jpeg$"))
    expect(page.locator(".bars li")).to_have_count(5)
    assert page.locator(".preview img").evaluate("image => image.naturalWidth") > 0
    assert page.evaluate("lent.getTracks().map((track) => track.readyState)") == ["ended"]


def test_without_a_camera_it_says_so(open_page: Open) -> None:
    page = open_page("classify")
    page.get_by_role("button", name="Camera").click()
    expect(page.get_by_role("dialog", name="Camera")).to_contain_text("No camera can be used here")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog", name="Camera")).to_have_count(0)
