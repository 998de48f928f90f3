"""Health, readiness, models and documentation."""

import httpx

from tolerances import PARITY_COSINE

ENCODERS = ["all-minilm-l6-v2", "efficientnet-lite0", "efficientnet-lite2", "simila-lite"]


def test_alive(api: httpx.Client) -> None:
    assert api.get("/healthz").json() == {"status": "alive"}


def test_ready_names_every_encoder(api: httpx.Client) -> None:
    response = api.get("/readyz")
    assert (response.status_code, response.json()["ready"]) == (200, True)
    assert response.json()["encoders"] == dict.fromkeys(ENCODERS, "ready")


def test_models_show_their_parity_certificates(api: httpx.Client) -> None:
    models = {entry["id"]: entry for entry in api.get("/v1/models").json()["data"]}
    assert list(models) == ENCODERS
    assert models["simila-lite"]["modalities"] == ["image", "text"]
    assert models["simila-lite"]["zero_shot"]["templates"] == ["a photo of a {}"]
    assert models["efficientnet-lite0"]["dimension"] == 1280
    for entry in models.values():
        assert set(entry["certificates"]) == set(entry["modalities"])
        for certificate in entry["certificates"].values():
            assert certificate["inputs"] >= 10
            assert 1.000001 > certificate["lowest_cosine"] >= certificate["floor"] == PARITY_COSINE


def test_one_model(api: httpx.Client) -> None:
    assert api.get("/v1/models/simila-lite").json() in api.get("/v1/models").json()["data"]
    assert api.get("/v1/models/nope").json()["error"]["code"] == "model_not_found"


def test_the_documentation_needs_no_other_machine(api: httpx.Client) -> None:
    page = api.get("/docs").text
    assert "https://" not in page
    assert "http://" not in page
    for path in ("/docs-assets/swagger-ui-bundle.js", "/docs-assets/swagger-ui.css"):
        assert path in page
        assert api.get(path).status_code == 200


def test_openapi_documents_every_route_with_its_errors(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    error_body = {"$ref": "#/components/schemas/ErrorBody"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            if path.startswith("/v1/"):
                assert operation["responses"]["400"]["content"]["application/json"]["schema"] == error_body
                headers = {entry["name"] for entry in operation["parameters"] if entry["in"] == "header"}
                assert "x-request-timeout" in headers
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_openapi_documents_both_bodies_and_both_answers_of_embeddings(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    operation = document["paths"]["/v1/embeddings"]["post"]
    bodies = operation["requestBody"]["content"]
    assert bodies["application/json"]["schema"] == {"$ref": "#/components/schemas/EmbeddingsRequest"}
    form = bodies["multipart/form-data"]["schema"]
    request = document["components"]["schemas"]["EmbeddingsRequest"]
    # A form says by its fields what an input is.
    assert set(form["properties"]) == {*request["properties"], "image"} - {"modality", "normalized"}
    assert form["properties"]["image"]["items"] == {"type": "string", "format": "binary"}
    answer = operation["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/EmbeddingsResponse"}
    assert answer["content"]["application/octet-stream"]["schema"] == {"type": "string", "format": "binary"}
    sent = api.post(
        "/v1/embeddings",
        json={"model": "all-minilm-l6-v2", "input": "a"},
        headers={"accept": "application/octet-stream"},
    )
    on_every_answer = {"x-request-id", "x-content-type-options"}
    assert set(answer["headers"]) == {name for name in sent.headers if name.startswith("x-")} - on_every_answer
