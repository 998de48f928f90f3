"""The explorer's panel Map, by hand of a browser."""

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

Open = Callable[..., Page]


def opened_map(open_page: Open) -> Page:
    page = open_page("map")
    make = page.get_by_role("button", name="Make the map")
    expect(make.or_(page.locator(".scatter"))).to_be_visible()
    if make.is_visible():
        make.click()
    expect(page.locator(".plane .figures")).to_contain_text("11 items")
    return page


def lasso(page: Page) -> None:
    """Draw a line round everything."""
    page.get_by_role("button", name="Lasso").click()
    box = page.locator(".scatter").bounding_box()
    assert box
    left, top = box["x"] + 2, box["y"] + 2
    right, bottom = left + box["width"] - 4, min(top + box["height"] - 4, 855)
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(x, y)
    page.mouse.up()


def test_the_map_is_made_and_coloured_by_label_or_payload(open_page: Open, server: str) -> None:
    page = opened_map(open_page)
    expect(page.get_by_label("Colours").locator("li")).to_have_count(4)
    page.get_by_label("Colour by").select_option("file")
    expect(page.get_by_label("Colours").locator("li")).to_have_count(9)
    assert httpx.get(f"{server}/v1/collections/photos/map").json()["state"] == "done"


def test_the_lasso_takes_what_it_encloses(open_page: Open) -> None:
    page = opened_map(open_page)
    lasso(page)
    expect(page.get_by_text("11 selected")).to_be_visible()


def test_near_duplicates_are_marked(open_page: Open) -> None:
    page = opened_map(open_page)
    page.get_by_label("Mark").select_option("near-duplicates")
    expect(page.locator(".card .id")).to_have_text(["motorcycle_left.png", "motorcycle_right.png"])


def test_hovering_shows_the_picture(open_page: Open) -> None:
    page = opened_map(open_page)
    box = page.locator(".scatter").bounding_box()
    assert box
    x, y = page.evaluate(
        """async () => {
          const { x, y, ids } = await (await fetch("/v1/collections/photos/map/points")).json();
          const middle = (values) => (Math.min(...values) + Math.max(...values)) / 2;
          const { clientWidth: width, clientHeight: height } = document.querySelector(".scatter");
          const extent = (values) => Math.max(...values) - Math.min(...values);
          const span = Math.max(extent(y), extent(x) / (width / height)) * 1.12;
          const at = ids.indexOf("chelsea.png");
          const away = (values) => ((values[at] - middle(values)) / span) * height;
          return [width / 2 + away(x), height / 2 - away(y)];
        }"""
    )
    page.mouse.move(box["x"] + x, box["y"] + y)
    expect(page.locator(".hover")).to_contain_text("chelsea.png")
    expect(page.locator(".hover img")).to_be_visible()


def test_a_moving_map_draws_what_the_machine_can_and_a_resting_one_all(open_page: Open) -> None:
    drawn = open_page("classify").evaluate(
        """async () => {
          const { Scatter } = await import("/explorer/scatter.js");
          const slow = { places: new Float32Array(200000), share: 1 };
          const frame = (isMoving) => {
            Object.assign(slow, { isMoving, drawnAt: performance.now() - 60 });
            return Scatter.prototype.drawnPoints.call(slow);
          };
          return [frame(false), frame(true), frame(true), frame(false)];
        }"""
    )
    assert drawn == [100_000, 70_000, 49_000, 100_000]
