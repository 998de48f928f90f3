"""A real server, with photographs that it keeps, and Debian's Chromium to look at it with."""

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import skimage.data
from playwright.sync_api import Browser, Page, expect, sync_playwright

from server_process import ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# No process of a user namespace of its own, no GPU, and none of the browser's own requests.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
PHOTOGRAPHS = Path(skimage.data.__file__).parent
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
LABELLED = {
    "chelsea.png": "animal",
    "horse.png": "animal",
    "brick.png": "texture",
    "grass.png": "texture",
    "gravel.png": "texture",
    "rocket.jpg": "space",
    "hubble_deep_field.jpg": "space",
    "moon.png": "space",
    "coffee.png": "thing",
    "motorcycle_left.png": "thing",
    "motorcycle_right.png": "thing",
}
# What a page is waited for: generous, because other work may share the cores, and waiting ends when it is there.
PATIENCE_MILLISECONDS = 30_000
expect.set_options(timeout=PATIENCE_MILLISECONDS)

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Iterator[str]:
    """The address of a server whose collection `photos` has a picture, a label and a payload of each item."""
    folder = folder_with_models(tmp_path_factory.mktemp("browser") / "data", exported_repository.root)
    with ServerProcess.start(folder) as process:
        with httpx.Client(base_url=process.url, timeout=60) as api:
            fill(api, "photos")
        yield process.url


@pytest.fixture
def taught(server: str) -> Iterator[str]:
    """A collection of its own, listed first, to change."""
    with httpx.Client(base_url=server, timeout=60) as api:
        fill(api, "a-class")
        yield f"{server}/v1/collections/a-class"
        api.delete("/v1/collections/a-class")


def fill(api: httpx.Client, name: str) -> None:
    api.put(f"/v1/collections/{name}", json={"encoder": "simila-lite", "store_inputs": True}).raise_for_status()
    items = [item(file, label, position) for position, (file, label) in enumerate(LABELLED.items())]
    api.post(f"/v1/collections/{name}/items", json={"items": items}).raise_for_status()


def item(file: str, label: str, position: int) -> dict[str, object]:
    payload = {"file": file, "position": position, "kind": label, "caption": HOSTILE}
    return {"id": file, "label": label, "payload": payload, "image": as_base64(file)}


def as_base64(file: str) -> str:
    return base64.b64encode((PHOTOGRAPHS / file).read_bytes()).decode()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for no longer than a file of tests: meanwhile an event loop runs in this thread and allows no other."""
    if not shutil.which(CHROMIUM):
        pytest.skip(f"needs Chromium at {CHROMIUM} (CHROMIUM names another place)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser, server: str) -> Iterator[Callable[..., Page]]:
    """Open a panel. At the end no script may have failed, and nothing may have been asked of another host."""
    faults: list[str] = []
    strangers: list[str] = []
    contexts = []

    def opened(panel: str = "", *, url: str = server, **options: object) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: None if is_own(asked.url, url) else strangers.append(asked.url))
        page.goto(f"{url}/explorer/#{panel}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
    assert strangers == []


def is_own(asked: str, url: str) -> bool:
    return asked.startswith((f"{url}/", f"blob:{url}/", "data:"))
