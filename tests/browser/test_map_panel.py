"""The explorer's panel Map, by hand of a browser."""

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from browser.conftest import HOSTILE
from browser.maps import draw_round_everything, opened_map

Open = Callable[..., Page]


def test_the_map_is_made_and_coloured_by_label_payload_or_cluster(open_page: Open, server: str) -> None:
    page = opened_map(open_page)
    colours = page.get_by_label("Colours").locator("li")
    expect(colours).to_have_count(4)
    page.get_by_label("Colour by").select_option("file")
    expect(colours).to_have_count(9)
    page.get_by_label("Colour by").select_option("caption")
    expect(colours).to_have_text([f"{HOSTILE}11"])
    page.get_by_label("Colour by").select_option("cluster")
    expect(colours).to_have_text([re.compile(r"^1(, mostly \w+)?\d+$"), re.compile(r"^2(, mostly \w+)?\d+$")])
    assert httpx.get(f"{server}/v1/collections/photos/map").json()["state"] == "done"


def test_the_lasso_takes_what_it_encloses(open_page: Open) -> None:
    page = opened_map(open_page)
    page.get_by_role("button", name="Lasso").click()
    draw_round_everything(page)
    expect(page.get_by_text("11 selected")).to_be_visible()


def test_the_legend_selects_by_keyboard_what_the_lasso_selects_by_hand(open_page: Open) -> None:
    page = opened_map(open_page)
    page.get_by_label("Colours").get_by_role("button", name="thing").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 selected")).to_be_visible()
    expect(page.locator(".card .id")).to_have_text(["coffee.png", "motorcycle_left.png", "motorcycle_right.png"])


def test_what_is_selected_is_taught(open_page: Open, taught: str) -> None:
    page = opened_map(open_page)
    page.get_by_label("Colours").get_by_role("button", name="thing").click()
    page.get_by_label("Class for the selected items").fill("object")
    page.get_by_role("button", name="Give the class").click()
    expect(page.get_by_label("Colours").get_by_role("button", name="object")).to_contain_text("3")
    assert httpx.get(taught).json()["labels"]["object"] == 3


def test_new_items_are_placed_on_the_map_that_is_there(open_page: Open, taught: str) -> None:
    page = opened_map(open_page)
    before = httpx.get(f"{taught}/map/points").json()
    added = {"items": [{"id": "later", "text": "a cat", "label": "animal"}]}
    httpx.post(f"{taught}/items", json=added, timeout=30).raise_for_status()
    page.get_by_role("link", name="Server").click()
    page.get_by_role("link", name="Map").click()
    expect(page.locator(".plane .figures")).to_contain_text("12 items")
    after = httpx.get(f"{taught}/map/points").json()
    assert after["ids"] == [*before["ids"], "later"]
    assert after["x"][:-1] == before["x"]


def test_near_duplicates_and_outliers_are_marked(open_page: Open, server: str) -> None:
    page = opened_map(open_page)
    page.get_by_label("Mark").select_option("near-duplicates")
    expect(page.locator(".card .id")).to_have_text(["motorcycle_left.png", "motorcycle_right.png"])
    page.get_by_label("Mark").select_option("outliers")
    points = httpx.get(f"{server}/v1/collections/photos/map/points").json()
    loneliest = min(zip(points["nearest"], points["ids"], strict=True))[1]
    expect(page.locator(".card .id")).to_have_text([loneliest])


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


def test_a_map_that_moves_too_slowly_is_drawn_as_one_picture_and_new_colours_move_nothing(open_page: Open) -> None:
    drawn, span = open_page("classify").evaluate(
        """async () => {
          const { Scatter } = await import("/explorer/scatter.js");
          const ways = [];
          const map = Object.assign(Object.create(Scatter.prototype), {
            places: new Float32Array(2), centre: [0, 0], span: 1, canvas: {}, slowFrames: 3,
            cloud: { draw: () => ways.push("points"), drawPicture: () => ways.push("picture") },
          });
          for (const state of [{ isMoving: false }, { isMoving: true }, { slowFrames: 2 }]) {
            Object.assign(map, state).drawNow();
          }
          Object.assign(map, { isMoved: true, span: 5, paint() {} }).set(new Float32Array(2));
          return [ways, map.span];
        }"""
    )
    assert drawn == ["points", "picture", "points"]
    assert span == 5


def test_the_picture_shows_what_the_points_show(open_page: Open) -> None:
    """Both draw 500 points of 3, 5 and 10 pixels. They differ in edges, which are much of the small ones."""
    shares = open_page("classify").evaluate(
        """async () => {
          const { PointCloud } = await import("/explorer/point_cloud.js");
          const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
          const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
          const cloud = new PointCloud(gl);
          const shares = [];
          for (const size of [3, 5, 10]) {
            const places = Float32Array.from({ length: 1000 }, (_, at) => Math.sin(at * at) * 0.9);
            const colours = Uint8Array.from({ length: 2000 }, (_, at) => (at % 4 === 3 ? 255 : 100 + (at % 7) * 20));
            cloud.set(places, colours, new Float32Array(500).fill(size));
            const pictures = ["draw", "drawPicture"].map((way) => {
              cloud[way]({ centre: [0, 0], scale: [1, 1], pixels: 1 });
              const bytes = new Uint8Array(640 * 480 * 4);
              gl.readPixels(0, 0, 640, 480, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
              return bytes;
            });
            let [same, either] = [0, 0];
            for (let at = 0; at < pictures[0].length; at += 4) {
              const [a, b] = pictures.map((bytes) => bytes[at + 3] > 127);
              either += a || b;
              const isAlike = (part) => Math.abs(pictures[0][at + part] - pictures[1][at + part]) < 64;
              same += a && b && [0, 1, 2].every(isAlike);
            }
            shares.push(same / either);
          }
          return shares;
        }"""
    )
    assert [round(share, 1) >= least for share, least in zip(shares, (0.6, 0.7, 0.8), strict=True)] == [True] * 3, (
        shares
    )


def test_buttons_zoom_where_there_is_neither_wheel_nor_keyboard(open_page: Open) -> None:
    """A point at the edge of what is shown is out of reach once the map is zoomed, until all is shown again."""
    page = opened_map(open_page)
    page.evaluate(
        """() => {
          window.shown = () => {
            const canvas = document.querySelector(".scatter canvas");
            const gl = canvas.getContext("webgl2");
            const bytes = new Uint8Array(canvas.width * canvas.height * 4);
            gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
            return bytes.filter((byte, at) => at % 4 === 3 && byte).length;
          };
          window.after = (name) => new Promise((done) => {
            document.querySelector(`[aria-label="${name}"]`).click();
            requestAnimationFrame(() => done(shown()));
          });
        }"""
    )
    whole = page.evaluate("after('Show all')")
    for _ in range(4):
        zoomed = page.evaluate("after('Zoom in')")
    assert 0 < zoomed < whole
    for _ in range(4):
        page.evaluate("after('Zoom out')")
    assert page.evaluate("after('Show all')") == whole
