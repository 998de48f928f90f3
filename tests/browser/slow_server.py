"""A server that keeps a page waiting, request by request."""

from playwright.sync_api import Page, Route


class Gate:
    """Requests that wait at it until they are let through; those that the page gave up meanwhile are gone."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._page = page
        self._pattern = pattern
        self.waiting: list[Route] = []
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        self.waiting.append(route)

    def wait(self, requests: int = 1) -> None:
        """Until so many requests wait."""
        while len(self.waiting) < requests:
            self._page.wait_for_timeout(10)

    def open(self) -> None:
        """Let everything through, from the oldest on."""
        for route in self.waiting:
            route.continue_()
        self._page.unroute(self._pattern)


def settle(page: Page) -> None:
    """Answers that were on their way have come, and what they change is drawn."""
    page.evaluate(
        """async () => {
          await (await fetch("/healthz")).text();
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )
