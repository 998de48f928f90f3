"""How many frames a second the explorer's map draws while it is moved, in Debian's Chromium without a GPU.

`.venv/bin/python tests/benchmarks/map_frames.py` moves clustered points as a visitor would drag them, rounds of each
number of points in turn, and prints medians; a frame counts when the browser asks for the next: at most 60 a second.
"""

import json
import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, Route, sync_playwright

PAGE_FOLDER = Path(__file__).parents[2] / "clients" / "explorer" / "simila_explorer" / "page"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
VIEWPORT = {"width": 1280, "height": 602}
POINTS = (1_000, 10_000, 100_000)
ROUNDS = 5
BLANK = "<!doctype html><style>.scatter, canvas { position: absolute; inset: 0; width: 100vw; height: 100vh }</style>"
FRAMES_A_SECOND = """async ([count, seconds]) => {
  const { Scatter } = await import("/scatter.js");
  const scatter = new Scatter({ onpick() {}, onlasso() {} });
  document.body.replaceChildren(scatter.element);
  const places = new Float32Array(2 * count), colours = new Uint8Array(4 * count).fill(200);
  for (let at = 0; at < 2 * count; at++) {
    const centre = Math.cos((at >> 1) % 8 * (1 + at % 2));
    places[at] = centre + 0.3 * (Math.random() + Math.random() - 1);
  }
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  scatter.set(places, colours, new Float32Array(count).fill(3));
  for (let warm = 0; warm < 20; warm++) { scatter.move(1, 0); await frame(); }
  const began = performance.now();
  let frames = 0;
  for (; performance.now() - began < 1000 * seconds; frames++) {
    scatter.move(frames % 20 < 10 ? 3 : -3, 1);
    await frame();
  }
  return 1000 * frames / (performance.now() - began);
}"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each file."""


def main() -> None:
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=PAGE_FOLDER)) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS)) as browser,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rounds = [_round(browser.new_page(viewport=VIEWPORT), server.server_port) for _ in range(ROUNDS)]
        server.shutdown()
    medians = {count: round(median(frames[count] for frames in rounds), 1) for count in POINTS}
    lines = [f"{count:>7} points   {frames:>5} frames a second" for count, frames in medians.items()]
    sys.stdout.write("\n".join([*lines, json.dumps({"frames_a_second": medians, "rounds": ROUNDS}), ""]))


def _round(page: Page, port: int) -> dict[int, float]:
    def blank(route: Route) -> None:
        route.fulfill(body=BLANK, content_type="text/html")

    page.route("**/blank", blank)
    page.goto(f"http://127.0.0.1:{port}/blank")
    frames = {count: float(page.evaluate(FRAMES_A_SECOND, [count, 2])) for count in POINTS}
    page.close()
    return frames


if __name__ == "__main__":
    main()
