"""The filter language: conditions on an item's payload, id and label, in the manner of MongoDB's.

| clause                              | matches an item                                                               |
|-------------------------------------|-------------------------------------------------------------------------------|
| `{"a": 1}`, `{"a": {"$eq": 1}}`     | whose value at `a` equals 1                                                   |
| `$gt $gte $lt $lte`                 | whose value at the key lies so                                                |
| `{"a": {"$in": [1, "x"]}}`          | whose value equals one of the list's; an empty list matches none              |
| `{"a": {"$exists": true}}`          | that has the key, with null or any other value                                |
| `$ne`, `$nin`, `"$exists": false`   | that `$eq`, `$in`, `"$exists": true` do not match, so also one without the key |
| `{"a": 1, "b": 2}`, `$and`          | that all match                                                                |
| `{"a": {"$gt": 1, "$lt": 3}}`       | that both match                                                               |
| `$or`, `$nor`                       | that one matches, that none matches                                           |
| `{"$not": {...}}`, `{"a": {"$not": {"$gt": 3}}}` | that the inner does not match                                    |
| `$id`, `$label` as keys             | by its id and its label, both strings; no label: `{"$exists": false}`         |
| `{}`                                | always                                                                        |

- **Keys.** Dots lead into nested objects: `a.b`. Not to be addressed: a name with a dot or a double quote, a name at
  the root that starts with `$`, and an element of a list by its position.
- **Lists.** A list matches if any of its elements does; so `$ne` means that none is equal. A list of objects on the way
  matches if any of its objects does: `authors.name`. One list on the way and one at its end: any list further inside
  is not looked into. Two operators on one key may be met by two elements.
- **Types.** A value compares only with its own type: numbers with numbers (1 equals 1.0), strings with strings (by code
  point, so that dates in ISO 8601 are in order), booleans with booleans (true is not 1, false comes before true), null
  with `$eq`, `$in` and their negations only. Objects and lists are compared with nothing.
- **Null and missing differ.** `{"a": null}` matches an explicit null alone.
- **Numbers.** Integers of 64 bits are exact; larger ones and fractions are IEEE 754 doubles.
- **Strings.** SQLite reads a stored string up to its first NUL character; an operand must have none.
"""

from typing import Any

from simila.index.filters.compiler import compile_clause
from simila.index.filters.parser import parse_filter
from simila.storage.where import Where


def compile_filter(source: Any, name: str = "filter") -> Where:
    """The condition on table `items` that a filter states. `name` is what messages call the filter.

    Raises:
        InvalidInput: it is malformed; the message and `param` name the clause by its path.

    """
    return compile_clause(parse_filter(source, name))


__all__ = ["compile_filter"]
