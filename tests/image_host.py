"""A host of images on loopback, which answers as its paths say."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class ImageHost(ThreadingHTTPServer):
    """`photo` is what it shows at `/photo/`; `asked` are the `Host` and path of every request.

    `released` lets slow answers end. `traced` are the `traceparent` headers of those requests that have one.
    """

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.asked: list[tuple[str, str]] = []
        self.traced: list[str] = []
        self.photo = PNG
        self.released = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def image_host(address: str = "127.0.0.1") -> Iterator[ImageHost]:
    server = ImageHost(address)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ImageHost

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))
        self.server.traced += self.headers.get_all("traceparent", [])
        kind, _, rest = self.path.removeprefix("/").partition("/")
        getattr(self, f"_{kind}")(rest)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _image(self, _: str) -> None:
        self._answer(200, PNG, Content_Type="image/png")

    def _photo(self, _: str) -> None:
        self._answer(200, self.server.photo, Content_Type="image/png")

    def _missing(self, _: str) -> None:
        self._answer(404, b"no")

    def _redirect(self, target: str) -> None:
        self._answer(302, b"", Location=target)

    def _loop(self, _: str) -> None:
        self._answer(301, b"", Location="/loop/")

    def _nowhere(self, _: str) -> None:
        self._answer(302, b"")

    def _page(self, _: str) -> None:
        self._answer(200, b"<html><body>secret</body></html>", Content_Type="image/png")

    def _short(self, _: str) -> None:
        self._answer(200, b"ab", Content_Type="image/png")

    def _empty(self, _: str) -> None:
        self._answer(200, b"", Content_Type="image/png")

    def _gzip(self, _: str) -> None:
        self._answer(200, PNG, Content_Encoding="gzip")

    def _large(self, _: str) -> None:
        self._answer(200, PNG + bytes(10_000))

    def _endless(self, _: str) -> None:
        """A body without a declared end."""
        self.send_response(200)
        self.end_headers()
        try:
            self.wfile.write(PNG)
            while True:
                self.wfile.write(bytes(1000))
        except OSError:
            pass

    def _slow(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PNG)
        self.wfile.flush()
        self.server.released.wait(60)

    def _silent(self, _: str) -> None:
        self.server.released.wait(60)

    def _garbage(self, _: str) -> None:
        self.wfile.write(b"this is no HTTP\r\n\r\n")
