import inspect
import re

from simila.domain import errors
from simila.domain.errors import SimilaError

CLASSES = [entry for _, entry in inspect.getmembers(errors, inspect.isclass) if issubclass(entry, SimilaError)]


def test_every_error_has_a_code_of_its_own():
    codes = [entry.code for entry in CLASSES]
    assert len(set(codes)) == len(codes)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = []
    above = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"([│├└─ ]*)([A-Z]\w+)(?:$| {2})", line):
            depth = len(found[1]) // 4
            above = [*above[:depth], found[2]]
            drawn.append((found[2], above[depth - 1] if depth else "Exception"))
    assert sorted(drawn) == sorted((entry.__name__, entry.__base__.__name__) for entry in CLASSES)
