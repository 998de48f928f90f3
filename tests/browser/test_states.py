"""What the explorer shows when there is nothing, not yet, or a refusal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from browser.conftest import PHOTOGRAPHS
from browser.slow_server import Gate
from browser.usability import is_usable
from server_process import ServerProcess, folder_with_models
from simila.domain.access import Scope
from simila.domain.model_repository import ModelRepository
from simila.settings import Settings
from simila.storage.api_keys import ApiKeys

Open = Callable[..., Page]
LIMITS = {"SIMILA_ENCODERS": '["simila-lite"]', "SIMILA_LIMITS__MAX_BODY_BYTES": "100000"}


@dataclass
class Guarded:
    """A server without collections that wants a key; `key` reads, and does not write; `writing` does."""

    url: str
    key: str
    writing: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Iterator[Guarded]:
    folder: Path = folder_with_models(tmp_path_factory.mktemp("guarded") / "data", exported_repository.root)
    keys = ApiKeys(Settings(data_dir=folder).keys_path)
    _, secret = keys.create("visitor", Scope.READ)
    _, writing = keys.create("owner", Scope.WRITE)
    keys.close()
    with ServerProcess.start(folder, environment=LIMITS) as process:
        yield Guarded(process.url, secret, writing)


def enter(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use it").click()


def classify_text(page: Page) -> None:
    page.get_by_label("Text", exact=True).fill("a kitten")


def test_a_key_is_asked_for_and_stays_in_the_session(open_page: Open, guarded: Guarded) -> None:
    page = open_page("classify", url=guarded.url)
    enter(page, "simila_0_wrong")
    expect(page.get_by_text("unknown, revoked or expired")).to_be_visible()
    enter(page, guarded.key)
    classify_text(page)
    expect(page.locator(".bars li").first).to_contain_text("a cat")
    assert page.evaluate("sessionStorage.getItem('simila-key')") == guarded.key
    page.get_by_text("The same request as code").click()
    expect(page.get_by_label("The request as code")).to_contain_text("Bearer $SIMILA_API_KEY")
    assert guarded.key not in page.content()
    assert page.evaluate("localStorage.length + document.cookie.length") == 0


def test_without_a_key_the_page_says_so(open_page: Open, guarded: Guarded) -> None:
    page = open_page("classify", url=guarded.url)
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    is_usable(page)
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("alert").get_by_role("heading")).to_have_text("A key is needed")
    is_usable(page)


def test_no_collection_and_no_permission_to_make_one(open_page: Open, guarded: Guarded) -> None:
    page = open_page("search", url=guarded.url)
    enter(page, guarded.key)
    expect(page.get_by_role("heading", name="No collections yet")).to_be_visible()
    page.get_by_role("region", name="Search").get_by_role("link", name="Teach").click()
    page.get_by_role("button", name="Make a collection").click()
    expect(page.get_by_role("heading", name="Your key does not allow this")).to_be_visible()


def test_who_may_not_uses_another_key(open_page: Open, guarded: Guarded) -> None:
    page = open_page("teach", url=guarded.url)
    enter(page, guarded.key)
    page.get_by_role("button", name="Make a collection").click()
    page.get_by_role("button", name="Use another key").click()
    enter(page, guarded.writing)
    expect(page.get_by_role("heading", name="No items yet")).to_be_visible()
    page.request.delete(f"{guarded.url}/v1/collections/photos", headers={"authorization": f"Bearer {guarded.writing}"})


def test_a_refusal_that_comes_after_the_key_was_given_asks_for_none(open_page: Open, guarded: Guarded) -> None:
    page = open_page("classify", url=guarded.url)
    slow = Gate(page, "**/v1/collections")
    page.evaluate(
        """() => {
          import("/explorer/api.js")
            .then(({ get }) => get("/v1/collections"))
            .then(() => (document.title = "answered"));
        }"""
    )
    slow.wait()
    enter(page, guarded.key)
    expect(page.get_by_role("heading", name="Classify", exact=True)).to_be_visible()
    slow.open()
    expect(page).to_have_title("answered")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_too_large(open_page: Open, guarded: Guarded) -> None:
    page = open_page("classify", url=guarded.url)
    enter(page, guarded.key)
    page.locator("input[type=file]").set_input_files(PHOTOGRAPHS / "coffee.png")
    expect(page.get_by_role("heading", name="That is too large")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("SIMILA_LIMITS__MAX_BODY_BYTES")


def test_what_is_no_picture_says_so(open_page: Open) -> None:
    page = open_page("classify")
    page.locator("input[type=file]").set_input_files(
        {"name": "notes.tiff", "mimeType": "image/tiff", "buffer": b"no picture"}
    )
    expect(page.locator(".fault")).to_have_text("notes.tiff is not a picture that can be read.")


def test_one_label_is_not_enough_and_says_so(open_page: Open) -> None:
    page = open_page("classify")
    classify_text(page)
    page.get_by_label("Labels, one a line").fill("a cat")
    expect(page.get_by_role("heading", name="Two labels at least")).to_be_visible()


def test_overloaded_says_when_to_come_back_and_goes_on(open_page: Open) -> None:
    page = open_page("classify")
    body = '{"error": {"message": "the queue is full", "type": "server_error", "param": null, "code": "overloaded"}}'
    page.route("**/v1/classify", lambda route: route.fulfill(status=429, headers={"retry-after": "7"}, body=body))
    classify_text(page)
    expect(page.get_by_role("alert")).to_contain_text("Try again in 7 s")
    page.unroute("**/v1/classify")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".bars li").first).to_contain_text("a cat")


def test_a_server_that_is_gone(open_page: Open) -> None:
    page = open_page("classify")
    page.route("**/v1/classify", lambda route: route.abort())
    classify_text(page)
    expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()


def test_what_takes_long_says_that_it_runs(open_page: Open) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page = open_page("classify")
    page.route("**/v1/classify", hold)
    classify_text(page)
    expect(page.get_by_text("Classifying …")).to_be_visible()
    held[0].continue_()
    expect(page.locator(".bars li").first).to_contain_text("a cat")
