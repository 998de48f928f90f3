import asyncio
from dataclasses import replace

import numpy as np
import pytest

from simila.domain.errors import InvalidInput, LimitExceeded, UnknownItem
from simila.domain.inputs import ImageInput, TextInput, VectorInput
from simila.services.diversity import Diversity
from simila.services.item_checks import NewItem
from simila.services.query_vectors import StoredId, WeightedExample
from simila.services.search import SearchLimits, SearchService
from simila.services.search_queue import SearchQueue
from simila.services.search_terms import Search
from unit.services.word_encoders import DIMENSION, direction

WORDS = ["red", "green", "blue", "cyan"]


@pytest.fixture
def service(pool, catalogue, collections):  # noqa: ARG001 - the collection is to be there
    queue = SearchQueue(workers=2, most_wait_seconds=60.0)
    service = SearchService(pool, catalogue, queue, SearchLimits(results=200, searches=3, paged_results=400))
    yield service
    service.close()


@pytest.fixture
def colours(collections):
    add(collections, *WORDS)


def add(collections, *words, payload=None, label=None):
    items = [NewItem(word, TextInput(word), label, payload) for word in words]
    asyncio.run(collections.upsert("colours", items))


def by(*examples, limit=5, **options):
    return Search([WeightedExample(example) for example in examples], limit, **options)


def find(service, search):
    return asyncio.run(service.search("colours", search))


def ids(found):
    return [hit.id for hit in found.hits]


def ranked(vector, words):
    return sorted(words, key=lambda word: -float(direction(word) @ vector))


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("query", [TextInput("a query"), ImageInput(b"photo"), VectorInput([1.0] * DIMENSION)])
def test_search_gives_the_nearest_first(service, query):
    vectors = {TextInput: direction("a query"), ImageInput: direction(b"photo"), VectorInput: np.full(8, 8**-0.5)}
    vector = vectors[type(query)]
    found = find(service, by(query))
    assert ids(found) == ranked(vector, WORDS)
    assert [hit.score for hit in found.hits] == pytest.approx(
        [float(direction(word) @ vector) for word in ids(found)], abs=1e-6
    )
    assert ids(find(service, by(query, limit=2))) == ranked(vector, WORDS)[:2]


@pytest.mark.usefixtures("colours")
def test_an_item_is_not_among_those_that_are_like_it(service):
    assert ids(find(service, by(StoredId("red")))) == ranked(direction("red"), WORDS[1:])
    assert len(find(service, by(StoredId("red"), limit=2)).hits) == 2
    two = find(service, by(StoredId("red"), StoredId("blue")))
    assert ids(two) == ranked(direction("red") + direction("blue"), ["green", "cyan"])


@pytest.mark.usefixtures("colours")
def test_a_score_threshold_cuts(service):
    assert ids(find(service, by(TextInput("red"), score_threshold=0.999))) == ["red"]


def test_as_many_come_as_match(service, collections):
    for n in range(60):
        add(collections, f"w{n}", payload={"n": n})
    matching = [f"w{n}" for n in range(60) if n % 7 == 3]
    found = find(service, by(TextInput("q"), limit=200, filter={"n": {"$in": list(range(3, 60, 7))}}))
    assert ids(found) == ranked(direction("q"), matching)
    assert found.use.filter_account.share == pytest.approx(len(matching) / 60, abs=0.05)


@pytest.mark.usefixtures("colours")
def test_vectors_come_when_they_are_asked_for(service):
    assert find(service, by(TextInput("red"))).vectors == {}
    found = find(service, by(TextInput("red"), limit=1, with_vectors=True))
    np.testing.assert_array_equal(found.vectors[found.hits[0].sequence], direction("red"))


def pages(service, search, between=lambda: None):
    while True:
        found = find(service, search)
        yield ids(found)
        if found.next is None:
            return
        between()
        search = replace(search, after=found.next)


def test_pages_together_are_the_whole_ranking(service, collections):
    words = [f"w{n}" for n in range(50)]
    add(collections, *words)
    found = list(pages(service, by(TextInput("q"), limit=7)))
    assert [len(page) for page in found] == [7] * 7 + [1]
    assert [word for page in found for word in page] == ranked(direction("q"), words)


def test_a_full_last_page_names_no_other(service, collections):
    add(collections, *(f"w{n}" for n in range(21)))
    assert [len(page) for page in pages(service, by(TextInput("q"), limit=7))] == [7, 7, 7]
    assert [len(page) for page in pages(service, by(TextInput("q"), limit=21))] == [21]


def test_pages_of_equal_scores_repeat_nothing_and_lose_nothing(service, collections):
    copies = [NewItem(f"c{n}", TextInput("same")) for n in range(40)]
    asyncio.run(collections.upsert("colours", copies))
    found = [word for page in pages(service, by(TextInput("q"), limit=6)) for word in page]
    assert found == [f"c{n}" for n in range(40)]


def test_pages_stay_as_they_are_while_items_come_and_go(service, collections):
    words = [f"w{n}" for n in range(40)]
    add(collections, *words)
    order = ranked(direction("q"), words)
    written = iter(range(1000))

    def write():
        n = next(written)
        near = [NewItem(f"new{n}-{copy}", TextInput("q")) for copy in range(9)]
        far = NewItem(f"far{n}", VectorInput((-direction("q")).tolist()))
        asyncio.run(collections.upsert("colours", [*near, far]))
        asyncio.run(collections.delete_item("colours", order[-1 - n]))

    found = list(pages(service, by(TextInput("q"), limit=10), write))
    assert [word for page in found for word in page] == order[: 40 - next(written)]


def test_a_page_may_be_filtered_exact_and_above_a_threshold(service, collections):
    for n in range(30):
        add(collections, f"w{n}", payload={"odd": bool(n % 2)})
    options = {"filter": {"odd": True}, "exact": True, "score_threshold": -0.2}
    found = [word for page in pages(service, by(TextInput("q"), limit=4, **options)) for word in page]
    odd = [f"w{n}" for n in range(1, 30, 2)]
    assert found == [word for word in ranked(direction("q"), odd) if direction(word) @ direction("q") >= -0.2]
    assert 8 < len(found) < 15


def test_a_cursor_is_for_its_own_search(service, collections):
    add(collections, *WORDS)
    search = by(TextInput("q"), limit=2)
    after = find(service, search).next
    others = [
        by(TextInput("other"), after=after),
        by(TextInput("q"), after=after, filter={"a": 1}),
        by(StoredId("red"), after=after),
    ]
    for other in others:
        with pytest.raises(InvalidInput, match=r"^after: the cursor is that of another query, filter or collection$"):
            find(service, other)


@pytest.mark.parametrize("text", ["x", "é", "AAAA", "W10=", "WzEsMiwzLDQsNV0=", "eyJhIjoxfQ=="])
def test_what_is_no_cursor_is_refused(service, text):
    with pytest.raises(InvalidInput, match=r"^after: it is not the `next` of an answer$"):
        find(service, by(TextInput("q"), after=text))


def test_pages_go_as_deep_as_the_setting_says(service, collections):
    for start in (0, 150, 300):
        add(collections, *(f"w{n}" for n in range(start, start + 150)))
    with pytest.raises(LimitExceeded) as refused:
        list(pages(service, by(TextInput("q"), limit=150)))
    assert refused.value.param == "after"
    assert "400 results at most (SIMILA_LIMITS__MAX_PAGED_RESULTS)" in refused.value.message


def grouped(service, **options):
    found = find(service, by(TextInput("q"), **options))
    return [(group.value, [hit.id for hit in group.hits]) for group in found.groups]


def expected_groups(items, limit, size):
    """By brute force: values in the order of their nearest item, with the nearest items of each."""
    order = ranked(direction("q"), items)
    values = list(dict.fromkeys(items[word] for word in order))[:limit]
    return [(value, [word for word in order if items[word] == value][:size]) for value in values]


def test_groups_are_those_of_brute_force_however_uneven(service, collections):
    items = {f"w{n}": "large" if n < 150 else f"g{n % 7}" for n in range(170)}
    for word, value in items.items():
        add(collections, word, payload={"a": {"b": value}})
    for limit, size in ((1, 1), (3, 2), (8, 3), (20, 10)):
        assert grouped(service, limit=limit, group_by="a.b", group_size=size) == expected_groups(items, limit, size)


def test_a_group_that_hides_all_others_does_not_keep_them_from_being_found(service, collections):
    copies = [NewItem(f"near{n}", TextInput("q"), None, {"k": "near"}) for n in range(180)]
    asyncio.run(collections.upsert("colours", copies))
    add(collections, "far1", "far2", payload={"k": "far"})
    far = ranked(direction("q"), ["far1", "far2"])
    assert grouped(service, limit=2, group_by="k", group_size=2) == [("near", ["near0", "near1"]), ("far", far)]


def test_values_are_told_apart_by_type_and_items_without_one_are_left_out(service, collections):
    payloads = {"one": 1, "true": True, "text": "1", "double": 1.0, "null": None, "list": [1], "object": {"a": 1}}
    for word, value in payloads.items():
        add(collections, word, payload={"k": value})
    add(collections, "none")
    found = grouped(service, limit=5, group_by="k", group_size=5)
    assert sorted((type(value).__name__, sorted(words)) for value, words in found if value is not True) in (
        [("int", ["double", "one"]), ("str", ["text"])],
        [("float", ["double", "one"]), ("str", ["text"])],
    )
    assert [words for value, words in found if value is True] == [["true"]]


def test_labels_group_too_within_a_filter_and_a_threshold(service, collections):
    words = [f"w{n}" for n in range(40)]
    for n, word in enumerate(words):
        add(collections, word, label=f"l{n % 4}", payload={"even": n % 2 == 0})
    found = grouped(service, limit=5, group_by="$label", group_size=20, filter={"even": True}, score_threshold=0.0)
    near = {word: f"l{n % 4}" for n, word in enumerate(words) if n % 2 == 0 and direction(word) @ direction("q") >= 0}
    assert found == expected_groups(near, 5, 20)


def test_diverse_results_are_chosen_among_the_candidates(service, collections):
    asyncio.run(collections.upsert("colours", [NewItem(f"copy{n}", TextInput("q")) for n in range(5)]))
    add(collections, *WORDS)
    near = find(service, by(TextInput("q"), limit=3, diversity=Diversity(relevance=1.0)))
    assert ids(near) == ["copy0", "copy1", "copy2"]
    spread = find(service, by(TextInput("q"), limit=3, diversity=Diversity(relevance=0.3, candidates=9)))
    assert ids(spread)[0] == "copy0"
    assert not {"copy1", "copy2"} & set(ids(spread))
    few = find(service, by(TextInput("q"), limit=3, diversity=Diversity(relevance=0.0, candidates=3)))
    assert sorted(ids(few)) == ["copy0", "copy1", "copy2"]


@pytest.mark.usefixtures("colours")
def test_a_batch_answers_each_search_as_alone(service):
    searches = [by(TextInput("a"), limit=2), by(TextInput("b"), limit=2), by(StoredId("red"), limit=3)]
    found = asyncio.run(service.search_all("colours", searches, "fail"))
    assert [ids(each) for each in found] == [ids(find(service, search)) for search in searches]


@pytest.mark.usefixtures("colours")
def test_searches_of_like_options_are_one_call_of_the_index(service, catalogue, monkeypatch):
    collection = catalogue.get("colours")
    calls, search = [], collection.search
    monkeypatch.setattr(collection, "search", lambda query: calls.append(len(query.vectors)) or search(query))
    alike, other = [by(TextInput("a"), limit=2), by(TextInput("b"), limit=2)], by(TextInput("c"), limit=3)
    asyncio.run(service.search_all("colours", [alike[0], other, alike[1]], "fail"))
    assert sorted(calls) == [1, 2]


@pytest.mark.usefixtures("colours")
def test_one_bad_search_fails_the_batch_or_itself_alone(service):
    bad = replace(by(StoredId("gone")), place="searches[1].")
    good, unread = by(TextInput("a"), limit=1), InvalidInput("searches[2].image: torn", param="searches[2].image")
    with pytest.raises(UnknownItem, match="has no item 'gone'; searches"):
        asyncio.run(service.search_all("colours", [good, bad, unread], "fail"))
    first, second, third = asyncio.run(service.search_all("colours", [good, bad, unread], "partial"))
    assert ids(first) == ranked(direction("a"), WORDS)[:1]
    assert (type(second), third) == (UnknownItem, unread)
    with pytest.raises(UnknownItem):
        asyncio.run(service.search_all("colours", [bad, unread], "partial"))


@pytest.mark.parametrize(
    ("search", "message", "param"),
    [
        (by(TextInput("a"), limit=201), "limit is 201, more than the most allowed, 200", "limit"),
        (
            by(TextInput("a"), limit=50, group_by="k", group_size=5),
            "limit times group_size is 250, more than the most allowed, 200",
            "group_size",
        ),
        (
            by(TextInput("a"), diversity=Diversity(0.5, 300), place="searches[4]."),
            "searches[4].diversity.candidates is 300, more than the most allowed, 200",
            "searches[4].diversity.candidates",
        ),
    ],
)
def test_more_than_the_server_allows_is_refused(service, search, message, param):
    with pytest.raises(LimitExceeded) as refused:
        find(service, search)
    assert (refused.value.message, refused.value.param) == (
        f"{message} (SIMILA_LIMITS__MAX_SEARCH_RESULTS)",
        param,
    )


def test_too_many_searches_are_refused(service):
    with pytest.raises(LimitExceeded, match=r"4 searches are more than the limit of 3 \(SIMILA_LIMITS__MAX_SEARCHES\)"):
        asyncio.run(service.search_all("colours", [by(TextInput("a"))] * 4, "partial"))


@pytest.mark.parametrize(
    ("search", "message", "param"),
    [
        (
            by(TextInput("a"), filter={"$and": [{}, {"n": {"$gt": None}}]}, place="searches[0]."),
            "searches[0].filter.$and[1].n.$gt: null has no order; use $eq or $exists",
            "searches[0].filter.$and[1].n.$gt",
        ),
        (
            by(TextInput("a"), group_by="$id"),
            "group_by: '$id' is no key of a payload; $label groups by label",
            "group_by",
        ),
        (
            by(TextInput("a"), group_by="a" * 300),
            f"group_by: the key '{'a' * 80}…' is longer than 256 characters",
            "group_by",
        ),
    ],
)
def test_a_malformed_part_is_named(service, search, message, param):
    with pytest.raises(InvalidInput) as refused:
        find(service, search)
    assert (refused.value.message, refused.value.param) == (message, param)


def two_sided(levels):
    if not levels:
        return {"a.b.c.d.e.f.g.h": {"$nin": [1, "x", None]}, "x": {"$ne": 2.5}}
    return {"$and": [two_sided(levels - 1)], "$or": [two_sided(levels - 1)]}


@pytest.mark.usefixtures("colours")
def test_what_pages_and_groups_add_to_the_deepest_filter_fits_the_parser_of_sqlite(service):
    deepest = two_sided(6)
    for _ in range(5):
        deepest = {"x": {"$ne": 1}, "$or": [{"u": 0}, deepest]}
    assert [len(page) for page in pages(service, by(TextInput("q"), limit=3, filter=deepest))] == [3, 1]
    assert grouped(service, limit=3, filter=deepest, group_by="$label") == []
