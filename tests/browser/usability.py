"""Who can use a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from browser.conftest import DESKTOP, PHONE

WAYS = ((DESKTOP, "light"), (PHONE, "dark"))


def is_usable(page: Page) -> None:
    """In light and dark, on a desktop and a phone, axe finds nothing serious, and nothing is wider than the page."""
    for size, scheme in WAYS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], scheme
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, size
