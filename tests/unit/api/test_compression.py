import gzip
import zlib

import pytest

from simila.api.compression import UNPACKERS

EMPTY = gzip.compress(b"")


@pytest.mark.parametrize("size_bytes", [1, 16_384, 1_000_000])
def test_gzip_is_unpacked_across_slices_and_members(size_bytes):
    content = bytes(range(251)) * (size_bytes // 251 + 1)
    packed = EMPTY.join(gzip.compress(content, level) for level in (0, 1, 9))
    assert UNPACKERS["gzip"](packed, 10 * len(content)) == gzip.decompress(packed) == content * 3


def test_gzip_stops_one_octet_past_the_most():
    assert UNPACKERS["gzip"](gzip.compress(bytes(1000)) * 3, 1500) == bytes(1501)


def test_gzip_members_that_hold_nothing_are_not_looked_through_without_end():
    assert UNPACKERS["gzip"](EMPTY * 10_000, 1) == b""
    with pytest.raises(zlib.error, match="it has more than 10000 members"):
        UNPACKERS["gzip"](EMPTY * 10_001, 1)
