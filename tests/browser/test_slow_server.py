"""The explorer before a server that is slow, breaks off or comes back."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from browser.conftest import PHOTOGRAPHS
from browser.maps import draw_round_everything, opened_map
from browser.slow_server import Gate, settle

Open = Callable[..., Page]


def choose_collection(page: Page, name: str) -> int:
    """Choose it; how many cards of the one before are there still, in the same moment."""
    left: int = page.evaluate(
        """(name) => {
          const choice = document.querySelector(".controls select");
          choice.value = name;
          choice.dispatchEvent(new Event("change"));
          return document.querySelectorAll(".card").length;
        }""",
        name,
    )
    return left


def test_the_map_has_the_colours_that_were_chosen_last(open_page: Open) -> None:
    page = opened_map(open_page)
    colours = page.get_by_label("Colours").locator("li")
    slow = Gate(page, "**/points?values_of=file")
    page.get_by_label("Colour by").select_option("file")
    slow.wait()
    page.get_by_label("Colour by").select_option("kind")
    expect(page.get_by_label("Colours").get_by_role("button", name="none or other")).to_have_count(0)
    expect(colours).to_have_count(4)
    slow.open()
    settle(page)
    expect(colours).to_have_count(4)


@pytest.mark.usefixtures("taught")
def test_colours_and_lasso_chosen_before_there_is_a_map_are_the_maps(open_page: Open) -> None:
    page = open_page("map")
    make = page.get_by_role("button", name="Make the map")
    expect(make).to_be_visible()
    page.get_by_label("Colour by").select_option("file")
    page.get_by_role("button", name="Lasso").click()
    make.click()
    expect(page.get_by_label("Colours").locator("li")).to_have_count(9)
    expect(page.locator(".refusal")).to_have_count(0)
    draw_round_everything(page)
    expect(page.get_by_text("11 selected")).to_be_visible()


def test_a_map_under_way_is_not_drawn_for_the_collection_that_was_chosen_meanwhile(
    open_page: Open, taught: str
) -> None:
    httpx.post(f"{taught}/items/delete", json={"ids": ["moon.png"]}).raise_for_status()
    page = open_page("map")
    slow = Gate(page, "**/a-class/map/points")
    make = page.get_by_role("button", name="Make the map")
    make.click()
    slow.wait()
    choose_collection(page, "photos")
    expect(make.or_(page.locator(".scatter"))).to_be_visible()
    if make.is_visible():
        make.click()
    said = page.locator(".plane .figures")
    expect(said).to_have_text("11 items")
    slow.open()
    settle(page)
    expect(said).to_have_text("11 items")


@pytest.mark.usefixtures("taught")
def test_conditions_are_of_the_collection_that_was_chosen_last(open_page: Open) -> None:
    page = open_page("search")
    keys = page.get_by_label("Key").locator("option")
    expect(keys).to_have_count(5)
    slow = Gate(page, "**/a-class/items/scroll")
    choose_collection(page, "photos")
    expect(page.locator(".card")).to_have_count(11)
    choose_collection(page, "a-class")
    slow.wait(2)
    choose_collection(page, "photos")
    expect(keys).to_have_count(5)
    stale = {"data": [{"id": "a", "label": None, "payload": {"stale": 1}, "sequence": 1}], "next": None}
    for route in slow.waiting:
        route.fulfill(json=stale)
    settle(page)
    expect(keys).to_have_count(5)


@pytest.mark.usefixtures("taught")
@pytest.mark.parametrize("panel", ["search", "teach"])
def test_items_of_the_collection_before_are_gone_at_once(open_page: Open, panel: str) -> None:
    page = open_page(panel)
    expect(page.locator(".card")).to_have_count(11)
    Gate(page, "**/photos/**")
    assert choose_collection(page, "photos") == 0


@pytest.mark.usefixtures("taught")
def test_what_is_selected_while_a_class_is_given_stays_selected(open_page: Open) -> None:
    page = open_page("teach")
    page.get_by_label("chelsea.png").check()
    page.get_by_label("Class", exact=True).fill("pet")
    slow = Gate(page, "**/a-class/items")
    page.get_by_role("button", name="Give to 1").click()
    slow.wait()
    page.get_by_label("horse.png").check()
    expect(page.get_by_role("button", name="Give to 2")).to_be_disabled()
    slow.open()
    expect(page.locator(".classes tr", has_text="pet").locator("td").first).to_have_text("1")
    expect(page.get_by_role("button", name="Give to 1")).to_be_enabled()
    expect(page.get_by_label("horse.png")).to_be_checked()


@pytest.mark.usefixtures("taught")
def test_a_class_is_given_once_however_often_it_is_pressed_and_kept_while_more_is_selected(open_page: Open) -> None:
    page = open_page("search")
    page.get_by_label("chelsea.png").and_(page.get_by_role("checkbox")).check()
    label = page.get_by_label("Class for the selected items")
    label.fill("pet")
    page.get_by_label("horse.png").and_(page.get_by_role("checkbox")).check()
    expect(label).to_have_value("pet")
    slow = Gate(page, "**/a-class/items")
    label.press("Enter")
    label.press("Enter")
    slow.wait()
    page.get_by_label("moon.png").and_(page.get_by_role("checkbox")).check()
    assert len(slow.waiting) == 1
    slow.open()
    expect(page.get_by_text("1 selected")).to_be_visible()
    expect(page.locator(".card .label", has_text="pet")).to_have_count(2)


def test_old_results_stay_until_the_new_ones_are_there(open_page: Open) -> None:
    page = open_page("search")
    expect(page.locator(".card")).to_have_count(11)
    page.clock.install()
    slow = Gate(page, "**/photos/search")
    page.get_by_label("Words").fill("a cat")
    page.clock.run_for(300)
    slow.wait()
    page.clock.run_for(1000)
    expect(page.locator(".results")).to_have_attribute("aria-busy", "true")
    expect(page.locator(".card")).to_have_count(11)
    slow.open()
    expect(page.locator(".card .score")).to_have_count(11)


def test_a_picture_that_failed_once_comes_when_the_server_is_back(open_page: Open) -> None:
    page = open_page("classify")
    page.route("**/thumbnails/**", lambda route: route.abort())
    with page.expect_event("requestfailed", lambda asked: "chelsea.png" in asked.url):
        page.get_by_role("link", name="Search").click()
    page.unroute("**/thumbnails/**")
    page.get_by_label("Words").fill("a cat")
    expect(page.locator(".card", has_text="chelsea.png").locator("img")).to_be_visible()


def test_more_results_that_failed_are_asked_for_again(open_page: Open) -> None:
    page = open_page("classify")

    def and_more(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "next": 1})

    page.route("**/items/scroll", and_more)
    page.get_by_role("link", name="Search").click()
    expect(page.locator(".card")).to_have_count(11)
    page.unroute("**/items/scroll")
    page.route("**/items/scroll", lambda route: route.abort())
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/items/scroll")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card")).to_have_count(21)


def test_an_answer_that_breaks_off_is_none(open_page: Open) -> None:
    page = open_page("classify")
    page.route("**/v1/classify", lambda route: route.fulfill(body='{"data": [{"predi'))
    page.get_by_label("Text", exact=True).fill("a kitten")
    expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()


@pytest.mark.usefixtures("taught")
def test_a_text_that_was_not_added_is_not_lost(open_page: Open) -> None:
    page = open_page("teach")
    page.route("**/a-class/items", lambda route: route.abort())
    text = page.get_by_label("Text", exact=True)
    text.fill("a kitten asleep")
    text.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(text).to_have_value("a kitten asleep")


def test_the_server_panel_asks_once_however_often_it_is_left(open_page: Open) -> None:
    page = open_page("classify")
    page.evaluate(
        """() => {
          const { fetch } = window;
          window.asked = 0;
          window.fetch = (path, ...rest) => {
            asked += path === "/v1/collections";
            return fetch(path, ...rest);
          };
        }"""
    )
    page.clock.install()
    for _ in range(3):
        page.get_by_role("link", name="Server").click()
        expect(page.locator(".sheet", has_text="photos")).to_be_visible()
        page.get_by_role("link", name="Classify").click()
        page.clock.run_for(1500)
    page.get_by_role("link", name="Server").click()
    settle(page)
    page.evaluate("asked = 0")
    page.clock.run_for(5000)
    assert page.evaluate("asked") == 1


def test_a_server_that_begins_to_count_again_has_no_negative_throughput(open_page: Open) -> None:
    counts = [100, None, 5, 8]
    read: list[int | None] = []

    def reading(route: Route) -> None:
        if not counts:
            return
        read.append(counts.pop(0))
        sample = f'simila_http_seconds_count{{route="/v1/embeddings"}} {read[-1]}\n'
        route.abort() if read[-1] is None else route.fulfill(body=sample)

    page = open_page("classify")
    page.clock.install()
    page.route("**/metrics", reading)
    page.get_by_role("link", name="Server").click()
    figure = page.locator(".chart", has_text="Throughput").locator("strong")
    seen = set()
    while counts:
        page.clock.run_for(200)
        seen.add(figure.text_content())
    expect(figure).to_have_text(re.compile(r"\d"))
    assert not any(text and text.startswith("-") for text in seen), seen


def test_a_map_whose_graphics_were_lost_is_drawn_again(open_page: Open) -> None:
    page = opened_map(open_page)
    drawn = page.evaluate(
        """async () => {
          const canvas = document.querySelector(".scatter canvas");
          const gl = canvas.getContext("webgl2");
          const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const opaque = () => new Promise((done) => requestAnimationFrame(() => {
            const bytes = new Uint8Array(canvas.width * canvas.height * 4);
            gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
            done(bytes.filter((byte, at) => at % 4 === 3 && byte).length);
          }));
          const redrawn = () => { canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "0" })); return opaque(); };
          const before = await redrawn();
          const loss = gl.getExtension("WEBGL_lose_context");
          const restored = new Promise((done) => canvas.addEventListener("webglcontextrestored", done));
          loss.loseContext();
          await frames();
          loss.restoreContext();
          await restored;
          await frames();
          return [before, await redrawn()];
        }"""
    )
    assert drawn[0] > 0
    assert drawn[1] == drawn[0]


def test_what_was_given_last_is_classified(open_page: Open) -> None:
    page = open_page("classify")
    page.evaluate(
        """() => {
          const { createImageBitmap } = window;
          window.createImageBitmap = async (...given) => {
            await new Promise((done) => (window.decode = done));
            return createImageBitmap(...given);
          };
        }"""
    )
    chooser = page.locator("input[type=file]")
    tiff = {"name": "slow.png", "mimeType": "image/unusual", "buffer": (PHOTOGRAPHS / "horse.png").read_bytes()}
    chooser.set_input_files(tiff)
    while not page.evaluate("Boolean(window.decode)"):
        page.wait_for_timeout(10)
    chooser.set_input_files(PHOTOGRAPHS / "coffee.png")
    picture = page.locator(".preview img")
    expect(picture).to_have_attribute("alt", "coffee.png")
    page.evaluate("decode()")
    settle(page)
    expect(picture).to_have_attribute("alt", "coffee.png")
    expect(page.locator(".bars li").first).to_contain_text("a cup of coffee")
    page.get_by_label("Text", exact=True).fill("a kitten")
    expect(picture).to_have_count(0)
    expect(page.locator(".bars li").first).to_contain_text("a cat")
