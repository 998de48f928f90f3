"""Write the pictures of the explorer that the README shows: `python tests/browser/tour.py FOLDER` (`make tour`)."""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from browser.conftest import CHROMIUM, DESKTOP, FLAGS, PHONE, PHOTOGRAPHS, fill
from server_process import ServerProcess, folder_with_models

MODELS = Path(__file__).parents[2] / ".cache" / "test-data" / "models"
SETTLE_MILLISECONDS = 1500
COLOURS = 128


def classify(page: Page) -> None:
    page.locator("input[type=file]").set_input_files(PHOTOGRAPHS / "coffee.png")
    page.locator(".bars li").first.wait_for()


def search(page: Page) -> None:
    for words in ("a dog", "a cat"):  # the first search loads what the second finds loaded
        page.get_by_label("Words").fill(words)
        page.locator(".card .score").first.wait_for()
        page.wait_for_timeout(SETTLE_MILLISECONDS)


def teach(page: Page) -> None:
    page.locator(".confusion").wait_for()


def lay_out(page: Page) -> None:
    make = page.get_by_role("button", name="Make the map")
    make.or_(page.locator(".scatter")).wait_for()
    if make.is_visible():
        make.click()
    page.get_by_label("Mark").select_option("near-duplicates")


def watch(page: Page) -> None:
    body = {"model": "all-minilm-l6-v2", "input": ["a red dress"] * 40}
    for _ in range(6):
        page.request.post(page.url.partition("/explorer")[0] + "/v1/embeddings", data=body)
        page.wait_for_timeout(SETTLE_MILLISECONDS // 2)


PANELS: dict[str, Callable[[Page], None]] = {
    "classify": classify,
    "search": search,
    "teach": teach,
    "map": lay_out,
    "server": watch,
}
WAYS = {"desktop": {"viewport": DESKTOP}, "phone": {"viewport": PHONE, "color_scheme": "dark"}}


def take(folder: Path, url: str) -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for panel, prepare in PANELS.items():
            for way, options in WAYS.items():
                page = chromium.new_page(**options)  # type: ignore[arg-type]
                page.goto(f"{url}/explorer/#{panel}")
                prepare(page)
                page.wait_for_timeout(SETTLE_MILLISECONDS)
                picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
                picture.save(folder / f"explorer-{panel}-{way}.png", optimize=True)
                page.close()
        chromium.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        data = folder_with_models(Path(scratch) / "data", MODELS.resolve())
        with ServerProcess.start(data) as process:
            with httpx.Client(base_url=process.url, timeout=60) as api:
                fill(api, "photos")
            take(Path(sys.argv[1]), process.url)
