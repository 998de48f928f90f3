"""One real server for all API tests: uvicorn on a free port, real encoders, an empty data folder."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import skimage.data
import uvicorn

from simila.app import create_app
from simila.domain.model_repository import ModelRepository
from simila.settings import LimitSettings, Settings

START_TIMEOUT_SECONDS = 60
MAX_BODY_BYTES = 2_000_000


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Callable[[], Path]:
    """Make an empty data folder with exported models."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("data")
        (folder / "models").symlink_to(exported_repository.root, target_is_directory=True)
        return folder

    return make


@pytest.fixture(scope="session")
def server_url(data_folder: Callable[[], Path]) -> Iterator[str]:
    limits = LimitSettings(max_body_bytes=MAX_BODY_BYTES, max_inputs=64, max_items=64, max_labels=20)
    with serving(Settings(data_dir=data_folder(), limits=limits)) as url:
        yield url


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """A server on a free port, ready, until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        # A busy machine takes longer, and is no reason to refuse.
        engine = settings.engine.model_copy(update={"max_queue_seconds": 600})
        app = create_app(settings.model_copy(update={"port": port, "engine": engine}))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url)
            yield url
        finally:
            server.should_exit = True
            thread.join()


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the server was not ready within {START_TIMEOUT_SECONDS} s")


@pytest.fixture(scope="session")
def api(server_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_url, timeout=60) as client:
        yield client


@pytest.fixture
def collection(api: httpx.Client) -> Iterator[Callable[[str], str]]:
    """Make a collection of an encoder and return its path; it is gone after the test."""
    made: list[str] = []

    def make(encoder: str) -> str:
        path = f"/v1/collections/test-{len(made)}"
        assert api.put(path, json={"encoder": encoder}).status_code == httpx.codes.CREATED
        made.append(path)
        return path

    yield make
    for path in made:
        api.delete(path)


@pytest.fixture(scope="session")
def photo() -> Callable[[str], bytes]:
    """The bytes of a photograph that ships with scikit-image."""
    folder = Path(skimage.data.__file__).parent
    return lambda name: (folder / name).read_bytes()
