"""What people do with a map."""

from collections.abc import Callable

from playwright.sync_api import Page, expect


def opened_map(open_page: Callable[..., Page]) -> Page:
    """The map of the first collection."""
    page = open_page("map")
    make = page.get_by_role("button", name="Make the map")
    expect(make.or_(page.locator(".scatter"))).to_be_visible()
    if make.is_visible():
        make.click()
    expect(page.locator(".plane .figures")).to_contain_text("11 items")
    return page


def draw_round_everything(page: Page) -> None:
    """With the lasso, which is on."""
    box = page.locator(".scatter").bounding_box()
    assert box
    left, top = box["x"] + 2, box["y"] + 2
    right, bottom = left + box["width"] - 4, min(top + box["height"] - 4, 855)
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(x, y)
    page.mouse.up()
