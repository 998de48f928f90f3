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
