from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from api.wire import embed


def samples(api: httpx.Client) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(api.get("/metrics").text)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_a_request_is_counted_by_route_status_and_tower(api: httpx.Client) -> None:
    before = samples(api)
    embed(api, "all-minilm-l6-v2", ["one", "two"])
    api.post("/v1/embeddings", json={"model": "nope", "input": "a"})
    after = samples(api)

    def grown(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert grown("simila_http_seconds_count", "/v1/embeddings", "200") == 1
    assert grown("simila_http_seconds_count", "/v1/embeddings", "404") == 1
    assert grown("simila_batch_rows_sum", "all-minilm-l6-v2", "text") == 2
    for phase in ("preprocess", "queue", "inference"):
        assert grown(f"simila_{phase}_seconds_count", "all-minilm-l6-v2", "text") == 1
        assert 0 < grown(f"simila_{phase}_seconds_sum", "all-minilm-l6-v2", "text") < 5
    assert after["simila_work_in_flight", "all-minilm-l6-v2", "text"] == 0


def test_names_in_paths_do_not_become_labels(api: httpx.Client) -> None:
    api.get("/v1/collections/some-name-or-other")
    api.get("/nowhere/at/all")
    text = api.get("/metrics").text
    assert "some-name-or-other" not in text
    assert "nowhere" not in text
    assert 'route="/v1/collections/{name}",status="404"' in text
    assert 'route="none",status="404"' in text


def test_a_refusal_is_counted_by_its_code(api: httpx.Client) -> None:
    before = samples(api)
    api.post("/v1/embeddings", json={"model": "nope", "input": "a"})
    assert (
        samples(api)["simila_errors_total", "model_not_found"]
        == before.get(("simila_errors_total", "model_not_found"), 0) + 1
    )


def test_padding_is_what_a_batch_computed_beyond_its_rows(api: httpx.Client) -> None:
    tower = ("all-minilm-l6-v2", "text")
    before = samples(api)
    answer = embed(api, "all-minilm-l6-v2", ["one", "two three four five six"])
    after = samples(api)
    computed, padding = (
        after[name, *tower] - before.get((name, *tower), 0)
        for name in ("simila_batch_units_total", "simila_padding_units_total")
    )
    assert computed - padding == answer["usage"]["prompt_tokens"]
    assert after["simila_queue_rows", *tower] == 0


def test_collections_are_measured_by_name(api: httpx.Client, collection: Callable[[str], str]) -> None:
    path = collection("all-minilm-l6-v2")
    api.post(f"{path}/items", json={"items": [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]})
    measured, name = samples(api), path.rpartition("/")[2]
    assert measured["simila_collection_available", name] == 1
    assert measured["simila_collection_items", name] == 2
    assert measured["simila_collection_head_rows", name] == 2
    assert measured["simila_collection_disk_bytes", name] > 4096
    api.delete(path)
    assert ("simila_collection_items", name) not in samples(api)
