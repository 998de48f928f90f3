"""What is fetched by URL, and the tricks by which it is not."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from image_host import PNG, ImageHost, image_host
from simila.domain.errors import ImageUnavailable, LimitExceeded, UrlRefused
from simila.preprocessing.fetching import FetchOptions, ImageFetcher
from simila.preprocessing.public_network import Resolve, resolved

EVERY_PORT = tuple(range(1, 65536))
NAMES = {
    "images.example": ["127.0.0.2"],
    "other.example": ["127.0.0.2"],
    "sub.images.example": ["127.0.0.2"],
    "xn--bcher-kva.example": ["127.0.0.2"],
    "private.example": ["10.0.0.7"],
    "half.example": ["127.0.0.2", "169.254.169.254"],
}


@pytest.fixture(scope="module")
def host() -> Iterator[ImageHost]:
    """A host that the operator allows."""
    with image_host("127.0.0.2") as server:
        yield server


@pytest.fixture(scope="module")
def inner_host() -> Iterator[ImageHost]:
    """A host that nobody outside is to reach."""
    with image_host("127.0.0.1") as server:
        yield server


async def by_name(name: str) -> Sequence[str]:
    """A name server of our own; what it does not know, the system resolves, which here are notations of addresses."""
    return NAMES[name] if name in NAMES else await resolved(name)


def fetch(url: str, options: FetchOptions, resolve: Resolve = by_name) -> bytes:
    async def scenario() -> bytes:
        fetcher = ImageFetcher(options, resolve=resolve)
        try:
            return await fetcher.fetched(url)
        finally:
            await fetcher.close()

    return asyncio.run(scenario())


OPTIONS = FetchOptions(allowed_networks=("127.0.0.2/32",), ports=EVERY_PORT, max_bytes=5000, timeout_seconds=60)


def at(host: ImageHost, path: str, name: str = "images.example") -> str:
    return f"http://{name}:{host.port}/{path}"


def test_an_image_is_fetched_from_the_host_that_was_named(host: ImageHost) -> None:
    host.asked.clear()
    assert fetch(at(host, "image/"), OPTIONS) == PNG
    assert host.asked == [(f"images.example:{host.port}", "/image/")]


def test_a_name_of_another_script_is_asked_for_as_dns_spells_it(host: ImageHost) -> None:
    assert fetch(at(host, "image/", "bücher.example"), OPTIONS) == PNG


def test_redirects_are_followed(host: ImageHost) -> None:
    assert fetch(at(host, f"redirect/{at(host, 'redirect//image/', 'other.example')}"), OPTIONS) == PNG


# Each of them names an address that is not of the open internet.
TRICKS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "①②⑦.⓪.⓪.①",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[100::1]",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "100.100.100.200",
    "100.64.0.1",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "private.example",
    "half.example",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_notation_of_an_inner_address_is_connected_to(inner_host: ImageHost, trick: str) -> None:
    inner_host.asked.clear()
    with pytest.raises((UrlRefused, ImageUnavailable)) as refusal:
        fetch(at(inner_host, "image/", trick), OPTIONS)
    assert inner_host.asked == []
    assert isinstance(refusal.value, UrlRefused) or "ConnectError" in refusal.value.message


@pytest.mark.parametrize("trick", TRICKS)
def test_no_redirect_leads_to_an_inner_address(host: ImageHost, inner_host: ImageHost, trick: str) -> None:
    host.asked.clear()
    inner_host.asked.clear()
    with pytest.raises((UrlRefused, ImageUnavailable)):
        fetch(at(host, f"redirect/{at(inner_host, 'image/', trick)}"), OPTIONS)
    assert (len(host.asked), inner_host.asked) == (1, [])


def test_every_address_would_be_reached_without_the_guard(inner_host: ImageHost) -> None:
    """The tricks that mean this machine do lead to the inner host, so the tests above test something."""
    everywhere = replace(OPTIONS, allowed_networks=("0.0.0.0/0", "::/0"))
    for trick in ("127.1", "2130706433", "0x7f000001", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"):
        assert fetch(at(inner_host, "image/", trick), everywhere) == PNG


def test_a_name_that_changes_its_address_is_not_followed(host: ImageHost, inner_host: ImageHost) -> None:
    """DNS rebinding: the name is asked for once a connection, and what it answered is what is connected to."""
    answers = iter([["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]])

    async def rebinding(_: str) -> Sequence[str]:
        return next(answers)

    inner_host.asked.clear()
    assert fetch(at(host, "image/"), OPTIONS, rebinding) == PNG
    with pytest.raises(UrlRefused):
        fetch(at(inner_host, "image/"), OPTIONS, rebinding)
    assert inner_host.asked == []
    assert list(answers) == [["127.0.0.1"]]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://images.example/",
        "ftp://images.example/a.png",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "unix:/run/docker.sock",
        "//images.example/image/",
        "images.example/image/",
        "/image/",
        "http://",
        "http:///image/",
        "http://[::1/image/",
        "http://images.example:99999/",
        "http://images.example:-1/",
        "",
        "http://user@images.example/image/",
        "http://user:password@images.example/image/",
        "http://images.example@127.0.0.1/image/",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        fetch(url, OPTIONS)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/", "http://user@images.example/", "http://[::1/"])
def test_no_redirect_leads_to_what_is_no_plain_web_address(host: ImageHost, target: str) -> None:
    with pytest.raises(UrlRefused):
        fetch(at(host, f"redirect/{target}"), OPTIONS)


def test_a_host_without_an_address_is_unavailable() -> None:
    async def unknown(_: str) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(ImageUnavailable, match="ConnectError"):
        fetch("http://nobody.example/", OPTIONS, unknown)


def test_ports_are_those_of_the_web_unless_others_are_allowed(host: ImageHost) -> None:
    with pytest.raises(UrlRefused, match=r"port \d+ is not allowed \(SIMILA_FETCH__PORTS\)"):
        fetch(at(host, "image/"), replace(OPTIONS, ports=FetchOptions().ports))


@pytest.mark.parametrize(
    ("allowed", "denied", "name", "fetched"),
    [
        (("images.example",), (), "images.example", True),
        (("images.example",), (), "IMAGES.EXAMPLE", True),
        (("images.example",), (), "sub.images.example", False),
        ((".images.example",), (), "sub.images.example", True),
        ((".images.example",), (), "images.example", False),
        (("images.example",), (), "other.example", False),
        ((), ("other.example",), "other.example", False),
        ((), ("other.example",), "OTHER.example.", False),
        ((), (".example",), "images.example", False),
        ((".example",), ("other.example",), "other.example", False),
        ((), ("other.example",), "images.example", True),
    ],
)
def test_hosts_are_allowed_and_denied_by_name(
    host: ImageHost, allowed: tuple[str, ...], denied: tuple[str, ...], name: str, fetched: bool
) -> None:
    options = replace(OPTIONS, allowed_hosts=allowed, denied_hosts=denied)
    if fetched:
        assert fetch(at(host, "image/", name), options) == PNG
    else:
        with pytest.raises(UrlRefused, match="HOSTS"):
            fetch(at(host, "image/", name), options)


def test_a_redirect_to_a_denied_host_is_refused(host: ImageHost) -> None:
    url = at(host, f"redirect/{at(host, 'image/', 'other.example')}")
    with pytest.raises(UrlRefused, match=r"other\.example is denied"):
        fetch(url, replace(OPTIONS, denied_hosts=("other.example",)))


def test_redirects_come_to_an_end(host: ImageHost) -> None:
    host.asked.clear()
    with pytest.raises(UrlRefused, match=r"more than 3 redirects \(SIMILA_FETCH__MAX_REDIRECTS\)"):
        fetch(at(host, "loop/"), OPTIONS)
    assert len(host.asked) == 4


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing/", "answered 404"),
        ("page/", "not an image"),
        ("short/", "not an image"),
        ("empty/", "not an image"),
        ("gzip/", "compressed"),
        ("garbage/", "RemoteProtocolError"),
    ],
)
def test_what_is_no_image_is_unavailable(host: ImageHost, path: str, message: str) -> None:
    with pytest.raises(ImageUnavailable, match=message):
        fetch(at(host, path), OPTIONS)


def test_a_redirect_to_nowhere_ends_as_a_loop(host: ImageHost) -> None:
    with pytest.raises(UrlRefused, match="redirects"):
        fetch(at(host, "nowhere/"), OPTIONS)


@pytest.mark.parametrize("path", ["large/", "endless/"])
def test_no_more_is_read_than_the_limit(host: ImageHost, path: str) -> None:
    with pytest.raises(LimitExceeded, match=r"5000 bytes \(SIMILA_LIMITS__MAX_IMAGE_BYTES\)"):
        fetch(at(host, path), OPTIONS)


@pytest.mark.parametrize("path", ["slow/", "silent/"])
def test_a_slow_host_is_given_up(host: ImageHost, path: str) -> None:
    with pytest.raises(ImageUnavailable, match=r"no image within 0.2 s \(SIMILA_FETCH__TIMEOUT_SECONDS\)"):
        fetch(at(host, path), replace(OPTIONS, timeout_seconds=0.2))
