"""The explorer's panel Server, by hand of a browser."""

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

Open = Callable[..., Page]


def test_encoders_show_their_certificates_and_collections_their_index(open_page: Open) -> None:
    page = open_page("server")
    joint = page.locator(".sheet", has_text="simila-lite").first
    expect(joint).to_contain_text("ready")
    expect(joint).to_contain_text("floor 0.9999")
    photos = page.locator(".sheet", has_text="photos")
    expect(photos).to_contain_text("exact: every vector is compared")


def test_charts_follow_what_is_asked(open_page: Open, server: str) -> None:
    page = open_page("server")
    chart = page.locator(".chart", has_text="Throughput")
    expect(chart.locator("strong")).to_have_text("0.00")
    for _ in range(5):
        httpx.post(f"{server}/v1/embeddings", json={"model": "all-minilm-l6-v2", "input": "hello"}).raise_for_status()
    expect(chart.locator(".most")).not_to_have_text("most 0.00")
    expect(page.locator(".chart", has_text="Batch size").locator(".most")).to_contain_text("most 1.00")
