"""The explorer's panel Classify, by hand of a browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from browser.conftest import PHOTOGRAPHS

Open = Callable[..., Page]


def choose(page: Page, file: str) -> None:
    page.locator("input[type=file]").first.set_input_files(PHOTOGRAPHS / file)


def test_bars_follow_the_labels_of_a_picture(open_page: Open) -> None:
    page = open_page("classify")
    choose(page, "coffee.png")
    first = page.locator(".bars li").first
    expect(first).to_contain_text("a cup of coffee")

    page.get_by_label("Labels, one a line").fill("a motorcycle\na horse\nan espresso")
    expect(first).to_contain_text("an espresso")
    expect(page.locator(".bars li")).to_have_count(3)


def test_a_text_is_classified_by_two_encoders_side_by_side(open_page: Open) -> None:
    page = open_page("classify")
    page.get_by_label("Text", exact=True).fill("The kitten purred and fell asleep")
    page.get_by_label("Compare with").select_option("all-minilm-l6-v2")
    expect(page.locator(".column h3")).to_have_text(["simila-lite", "all-minilm-l6-v2"])
    expect(page.locator(".column:nth-child(2) .bars li").first).to_contain_text("a cat")


def test_the_slider_rejects_what_no_label_fits(open_page: Open) -> None:
    page = open_page("classify")
    choose(page, "coffee.png")
    expect(page.locator(".bars li").first).to_contain_text("a cup of coffee")
    page.get_by_label("Reject what no label fits").check()
    page.get_by_label("Least cosine of the best label").fill("0.6")
    expect(page.locator(".rejected")).to_be_visible()
    page.get_by_label("Least cosine of the best label").fill("-0.2")
    expect(page.locator(".rejected")).to_have_count(0)


def test_the_request_is_shown_as_curl_python_and_typescript(open_page: Open) -> None:
    page = open_page("classify")
    page.get_by_label("Text", exact=True).fill("a kitten's nap")
    page.get_by_text("The same request as code").click()
    for name, sign in (("curl", "curl -s"), ("Python", "httpx.post"), ("TypeScript", "await fetch")):
        page.get_by_role("button", name=f"Copy as {name}").click()
        expect(page.get_by_label("The request as code")).to_contain_text(sign)
