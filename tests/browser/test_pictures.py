"""The ways in which a picture comes in: dropped, pasted, taken by the camera."""

from collections.abc import Callable

from playwright.sync_api import JSHandle, Page, expect

from browser.conftest import as_base64

Open = Callable[..., Page]


def transfer(page: Page, *files: str) -> JSHandle:
    """What a drag or the clipboard carries."""
    return page.evaluate_handle(
        """(files) => {
          const carried = new DataTransfer();
          for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
            carried.items.add(new File([bytes], name, { type: "image/png" }));
          }
          return carried;
        }""",
        [(file, as_base64(file)) for file in files],
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
    paste = """(carried) => document.activeElement.dispatchEvent(
      new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }))"""
    assert page.evaluate(paste, page.evaluate_handle("new DataTransfer()")) is True
    assert page.evaluate(paste, transfer(page, "motorcycle_left.png")) is False
    expect(page.get_by_label("Examples").locator("li")).to_have_text(["motorcycle_left.png"])
    expect(page.locator(".card .id").nth(1)).to_have_text("motorcycle_right.png")


def test_several_pictures_are_dropped_to_teach(open_page: Open, taught: str) -> None:
    page = open_page("teach")
    expect(page.locator(".accuracy")).to_contain_text("11 items")
    page.get_by_label("Class", exact=True).fill("document")
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer(page, "page.png", "text.png")})
    expect(page.locator(".classes tr", has_text="document").locator("td").first).to_have_text("2")
    assert page.request.get(f"{taught}/thumbnails/text.png").headers["content-type"] == "image/jpeg"


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
    expect(page.locator(".preview img")).to_have_attribute("alt", "camera.jpg")
    expect(page.locator(".bars li")).to_have_count(5)
    assert page.locator(".preview img").evaluate("image => image.naturalWidth") > 0
    assert page.evaluate("lent.getTracks().map((track) => track.readyState)") == ["ended"]


def test_without_a_camera_it_says_so(open_page: Open) -> None:
    page = open_page("classify")
    page.get_by_role("button", name="Camera").click()
    expect(page.get_by_role("dialog", name="Camera")).to_contain_text("No camera can be used here")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog", name="Camera")).to_have_count(0)
