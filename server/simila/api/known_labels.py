"""Lists of labels that came before are known by their bytes: reading 100,000 takes longer than embedding an image."""

import re
import uuid
from collections import OrderedDict
from typing import Any

from pydantic import BaseModel

from simila.api.direct_route import DirectRoute
from simila.api.schemas.classification import ClassifyRequest
from simila.services.label_sets import Classes

FEWEST_LABELS = 64
MOST_BYTES = 32 * 2**20

_KEY = b'"labels"'
_SPACE = rb"[ \t\n\r]*+"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_BEFORE_LIST = re.compile(_KEY + _SPACE + b":" + _SPACE)
_LIST_OF_STRINGS = re.compile(rb"\[(?:" + _SPACE + _STRING + _SPACE + rb",?)++\]", re.DOTALL)


class KnownLabels:
    """Reads requests, and keeps the lists of names that they bring, as bytes and as what was made of them.

    A list is known where the same bytes stand as the value of some `labels`. In their place a mark is read that nobody
    else knows: if it comes out as the labels of the request, then the known list would have.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._classes: OrderedDict[bytes, Classes] = OrderedDict()
        self._mark = uuid.uuid4().hex

    def read(self, content: bytes) -> ClassifyRequest:
        """Validate the JSON of a request.

        Raises:
            ValidationError: it is none.

        """
        start = _start_of_list(content)
        for written in reversed(self._classes):
            if content.startswith(written, start):
                request = self._read_around(content, start, written)
                if request.labels == [self._mark]:
                    self._classes.move_to_end(written)
                    request.recognise(self._classes[written])
                    return request
        request = ClassifyRequest.model_validate_json(content)
        if len(request.labels or ()) >= FEWEST_LABELS:
            self._learn(content, start, request)
        return request

    def _learn(self, content: bytes, start: int, request: ClassifyRequest) -> None:
        found = _LIST_OF_STRINGS.match(content, start)
        if not found or self._read_around(content, start, found[0]).labels != [self._mark]:
            return
        classes = Classes(label for label in request.labels or () if isinstance(label, str))
        request.recognise(classes)
        self._classes[found[0]] = classes
        self._held_bytes += len(found[0])
        while self._held_bytes > self._most_bytes:
            dropped, _ = self._classes.popitem(last=False)
            self._held_bytes -= len(dropped)

    def _read_around(self, content: bytes, start: int, written: bytes) -> ClassifyRequest:
        rest = memoryview(content)
        around = b"".join((rest[:start], b'["%s"]' % self._mark.encode(), rest[start + len(written) :]))
        return ClassifyRequest.model_validate_json(around)


class KnownLabelsRoute(DirectRoute):
    """A direct route whose bodies are read by `KnownLabels`."""

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._known_labels = KnownLabels()

    def read(self, content: bytes) -> BaseModel:
        return self._known_labels.read(content)


def _start_of_list(content: bytes) -> int:
    """Where the value of the last key `labels` begins; the end of the content if there is none.

    The last, because most clients write labels behind the images, which are long.
    """
    key = content.rfind(_KEY)
    found = _BEFORE_LIST.match(content, key) if key >= 0 else None
    return found.end() if found else len(content)
