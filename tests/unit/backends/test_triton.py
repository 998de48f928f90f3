"""Triton as a device of the setting; the backend itself is tested against a real server, in tests/reliability."""

import pytest

from simila.backends import triton
from simila.backends.device_choice import choose_devices
from simila.backends.registry import runtimes
from simila.backends.triton import TritonOptions
from simila.domain.errors import DeviceUnavailable

TWO = TritonOptions(("one:8001", "two:8001"))


def test_every_address_is_a_device():
    devices = choose_devices("triton", runtimes(TWO))
    assert str(devices) == "triton:0 (one:8001), triton:1 (two:8001)"
    assert devices.choices[0].labels == {0: "one:8001", 1: "two:8001"}
    assert choose_devices("triton:1", runtimes(TWO)).choices[0].labels == {1: "two:8001"}


def test_auto_never_leaves_this_machine():
    assert "triton" not in str(choose_devices("auto", runtimes(TWO)))


def test_without_an_address_it_is_not_there():
    with pytest.raises(DeviceUnavailable, match=r"no address .* \(SIMILA_TRITON__ADDRESSES\)"):
        choose_devices("triton", runtimes(TritonOptions()))


def test_without_its_client_it_is_not_there(monkeypatch):
    monkeypatch.setattr(triton, "find_spec", lambda _: None)
    with pytest.raises(DeviceUnavailable, match=r"pip install 'simila\[grpc\]'"):
        choose_devices("triton", runtimes(TWO))
