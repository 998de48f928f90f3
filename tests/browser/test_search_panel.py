"""The explorer's panel Search, by hand of a browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from browser.conftest import HOSTILE, PHOTOGRAPHS

Open = Callable[..., Page]


def test_words_find_pictures(open_page: Open) -> None:
    page = open_page("search")
    page.get_by_label("Words").fill("a cat")
    expect(page.locator(".card .score")).to_have_count(11)
    expect(page.locator(".card .id").first).to_have_text("chelsea.png")
    expect(page.locator(".results .figures").first).to_contain_text("recall at 10: exact")
    picture = page.locator(".card img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 256


def test_a_picture_finds_its_like(open_page: Open) -> None:
    page = open_page("search")
    page.locator("input[type=file]").set_input_files(PHOTOGRAPHS / "motorcycle_left.png")
    expect(page.locator(".card .id").nth(1)).to_have_text("motorcycle_right.png")


def test_more_and_less_like_what_was_found(open_page: Open) -> None:
    page = open_page("search")
    page.get_by_label("More like motorcycle_left.png").click()
    expect(page.locator(".card .id").first).to_have_text("motorcycle_right.png")
    page.get_by_label("Less like motorcycle_right.png").click()
    expect(page.get_by_label("Examples").locator("li")).to_have_text(
        ["more like motorcycle_left.png", "less like motorcycle_right.png"]
    )
    expect(page.locator(".card .id", has_text="motorcycle")).to_have_count(0)


def test_filters_come_from_the_payloads(open_page: Open) -> None:
    page = open_page("search")
    page.get_by_label("Key").select_option("kind")
    page.get_by_label("Value").fill("space")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".card")).to_have_count(3)
    page.get_by_label("Key").select_option("position")
    page.get_by_label("Comparison").select_option("above")
    page.get_by_label("Value").fill("5")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".card .id")).to_have_text(["hubble_deep_field.jpg", "moon.png"])


def test_payload_is_text_whatever_it_says(open_page: Open) -> None:
    page = open_page("search")
    card = page.locator(".card").first
    card.locator("summary").click()
    expect(card.locator("dd").nth(3)).to_have_text(HOSTILE)
    assert page.title() == "Search · Simila explorer"
