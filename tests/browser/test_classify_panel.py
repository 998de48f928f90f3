"""The explorer's panel Classify, by hand of a browser."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


def copied(page: Page, name: str) -> str:
    page.get_by_role("button", name=f"Copy as {name}").click()
    expect(page.locator(".said")).to_have_text(f"{name} copied")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def answer_of(*command: str, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=os.environ | environment)
    return done.stdout


def test_the_copied_request_does_what_the_page_did_and_is_short_to_see(open_page: Open, tmp_path: Path) -> None:
    page = open_page("classify", permissions=["clipboard-read", "clipboard-write"])
    choose(page, "coffee.png")
    page.get_by_label("Labels, one a line").fill('an espresso\na kitten\'s nap\na "quoted" $HOME')
    expect(page.locator(".bars li")).to_have_count(3)
    page.get_by_text("The same request as code").click()

    expect(page.get_by_label("The request as code")).to_contain_text("base64,…")

    (tmp_path / "curl.sh").write_text(copied(page, "curl"))
    (tmp_path / "asked.py").write_text(copied(page, "Python"))
    (tmp_path / "asked.mjs").write_text(copied(page, "TypeScript"))  # without types, it is JavaScript
    predictions = json.loads(answer_of("bash", str(tmp_path / "curl.sh")))["data"][0]["predictions"]
    assert predictions[0]["label"] == "an espresso"
    assert {one["label"] for one in predictions} == {"an espresso", "a kitten's nap", 'a "quoted" $HOME'}
    assert "'an espresso'" in answer_of(sys.executable, str(tmp_path / "asked.py"))
    if shutil.which("node"):
        assert "prediction: 'an espresso'" in answer_of("node", str(tmp_path / "asked.mjs"))
