"""Encoders come, change and go while requests are answered."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

from api.conftest import serving
from simila.__main__ import app
from simila.settings import Settings
from simila_client import Simila
from tiny_encoders import TinyEncoder
from tolerances import FLOAT32_VALUES

OLD, NEW, OTHER = TinyEncoder("tiny", 1), TinyEncoder("tiny", 2), TinyEncoder("other", 3)
TEXT = "red house green"


@pytest.fixture
def data_dir(tmp_path):
    for encoder in (OLD, OTHER):
        encoder.export(tmp_path)
    return tmp_path


@pytest.fixture
def api(data_dir):
    with (
        serving(Settings(data_dir=data_dir, encoders=("tiny",), device="cpu")) as url,
        httpx.Client(base_url=url, timeout=60) as api,
    ):
        yield api


def embed(api, model="tiny"):
    return api.post("/v1/embeddings", json={"model": model, "input": TEXT})


def vector(response):
    assert response.status_code == httpx.codes.OK, response.text
    return np.array(response.json()["data"][0]["embedding"])


def is_of(encoder, found):
    return np.allclose(found, encoder.vector(TEXT), atol=FLOAT32_VALUES)


def load(api, name="tiny"):
    return api.post(f"/v1/models/{name}/load", json={})


def unload(api, name="tiny"):
    return api.post(f"/v1/models/{name}/unload", json={})


def error(response, status):
    assert response.status_code == status, response.text
    return response.json()["error"]


def test_a_new_version_takes_over_and_every_request_under_way_succeeds(api, data_dir):
    assert is_of(OLD, vector(embed(api)))
    stop = threading.Event()

    def ask():
        with httpx.Client(base_url=api.base_url, timeout=60) as own:
            answers = []
            while not stop.is_set():
                answers.append(embed(own))
        return answers

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        try:
            versions = []
            for number in range(10):
                served = (NEW, OLD)[number % 2]
                served.export(data_dir)
                versions.append(load(api).json()["version"])
                assert is_of(served, vector(embed(api))), "what begins after the switch is the new version's"
        finally:
            stop.set()
        answers = [answer for one in asking for answer in one.result()]
    found = [vector(answer) for answer in answers]
    assert all(is_of(OLD, one) or is_of(NEW, one) for one in found)
    assert any(is_of(OLD, one) for one in found)
    assert any(is_of(NEW, one) for one in found)
    assert versions == versions[:2] * 5
    assert len(set(versions)) == 2


def test_a_version_whose_certificate_does_not_hold_takes_no_traffic(api, data_dir):
    version = api.get("/v1/models/tiny").json()["version"]
    NEW.export(data_dir, golden_seed=7)
    refused = error(load(api), 422)
    assert refused["code"] == "load_failed"
    assert refused["message"].startswith(
        "a new version is not served, the old one goes on: the text tower of tiny differs from the reference: cosine"
    )
    assert is_of(OLD, vector(embed(api)))
    entry = api.get("/v1/models/tiny").json()
    assert (entry["state"], entry["version"], entry["error"]) == ("ready", version, refused["message"])
    assert api.get("/readyz").json() == {"ready": True, "encoders": {"tiny": "ready"}}


def test_a_version_that_cannot_be_read_takes_no_traffic(api, data_dir):
    (data_dir / "models" / "tiny.text" / "tokenizer.json").write_text("{", encoding="utf-8")
    assert error(load(api), 422)["code"] == "load_failed"
    assert is_of(OLD, vector(embed(api)))


def test_an_unloaded_encoder_says_so_and_comes_back(api):
    assert unload(api).json()["state"] == "unloaded"
    refused = error(embed(api), 503)
    assert refused["code"] == "model_unloaded"
    assert refused["message"] == "encoder tiny was unloaded; POST /v1/models/tiny/load"
    assert api.get("/v1/models/tiny").json()["state"] == "unloaded"
    assert api.get("/readyz").json() == {"ready": True, "encoders": {"tiny": "unloaded"}}
    assert load(api).json()["state"] == "ready"
    assert is_of(OLD, vector(embed(api)))


def test_unloading_twice_changes_nothing(api):
    assert unload(api).json() == unload(api).json()


def test_an_encoder_that_the_settings_do_not_name_can_be_loaded(api):
    assert error(embed(api, "other"), 404)["code"] == "model_not_found"
    assert load(api, "other").json()["state"] == "ready"
    assert is_of(OTHER, vector(embed(api, "other")))
    assert [entry["id"] for entry in api.get("/v1/models").json()["data"]] == ["tiny", "other"]


def test_an_encoder_that_cannot_be_added_leaves_the_server_ready_and_is_not_listed(api, data_dir):
    OTHER.export(data_dir, golden_seed=7)
    assert error(load(api, "other"), 422)["message"].startswith("the text tower of other differs from the reference")
    assert api.get("/readyz").json() == {"ready": True, "encoders": {"tiny": "ready"}}
    unload(api)
    NEW.export(data_dir, golden_seed=7)
    refused = error(load(api), 422)["message"]
    assert api.get("/readyz").json() == {"ready": True, "encoders": {"tiny": "unloaded"}}
    assert api.get("/v1/models/tiny").json()["error"] == refused


def test_what_has_no_manifest_cannot_be_loaded(api):
    assert error(load(api, "nothing"), 404)["code"] == "model_not_found"
    assert error(unload(api, "nothing"), 404)["code"] == "model_not_found"


def test_a_page_of_another_site_cannot_send_a_request_that_browsers_do_not_ask_about(api):
    assert error(api.post("/v1/models/tiny/unload"), 400)["code"] == "invalid_json"
    assert error(api.post("/v1/models/tiny/unload", content="{}"), 400)["code"] == "invalid_json"
    assert is_of(OLD, vector(embed(api)))


def test_an_alias_moves_from_one_request_to_the_next_and_outlives_the_server(api, data_dir):
    load(api, "other")
    assert api.put("/v1/aliases/prod", json={"model": "tiny"}).json()["data"] == [{"alias": "prod", "model": "tiny"}]
    assert is_of(OLD, vector(embed(api, "prod")))
    assert api.get("/v1/models/prod").json()["aliases"] == ["prod"]
    api.put("/v1/aliases/prod", json={"model": "other"})
    assert is_of(OTHER, vector(embed(api, "prod")))
    with serving(Settings(data_dir=data_dir, encoders=("tiny", "other"))) as url:
        assert is_of(OTHER, vector(httpx.post(f"{url}/v1/embeddings", json={"model": "prod", "input": TEXT})))
    assert api.delete("/v1/aliases/prod").json()["data"] == []
    assert error(embed(api, "prod"), 404)["code"] == "model_not_found"
    assert error(api.delete("/v1/aliases/prod"), 404)["message"] == "unknown alias 'prod'"


def test_an_alias_means_an_encoder_that_answers_and_has_no_encoders_name(api):
    assert error(api.put("/v1/aliases/prod", json={"model": "other"}), 404)["code"] == "model_not_found"
    assert error(api.put("/v1/aliases/other", json={"model": "tiny"}), 409)["param"] == "alias"
    api.put("/v1/aliases/prod", json={"model": "tiny"})
    assert error(unload(api), 409)["message"] == (
        "encoder tiny is what the alias prod means; point that elsewhere first"
    )
    assert error(unload(api, "prod"), 409)["message"].startswith("encoder tiny is what the alias prod means")
    assert error(load(api, "prod"), 409)["message"] == "prod is an alias of encoder tiny: load that"
    api.delete("/v1/aliases/prod")
    unload(api)
    assert error(api.put("/v1/aliases/prod", json={"model": "tiny"}), 503)["code"] == "model_unloaded"


def test_a_collection_made_by_alias_belongs_to_the_encoder(api):
    api.put("/v1/aliases/prod", json={"model": "tiny"})
    assert api.put("/v1/collections/things", json={"encoder": "prod"}).json()["encoder"] == "tiny"


def test_client_and_command_line_do_the_same(api, data_dir):
    def run(*arguments):
        result = CliRunner().invoke(app, ["models", *arguments, "--url", str(api.base_url)])
        assert result.exit_code == 0, result.output
        return result.stdout

    with Simila(str(api.base_url)) as client:
        [tiny] = client.models()
        assert tiny.devices == {"text": f"cpu (ONNX Runtime {onnxruntime.__version__})"}
        NEW.export(data_dir)
        assert run("load", "tiny") == f"tiny is served: version {client.models()[0].version}, {tiny.devices['text']}\n"
        assert is_of(NEW, client.embed([TEXT], model="tiny").vectors[0])
        OLD.export(data_dir)
        assert client.load_model("tiny").version == tiny.version
        assert client.set_alias("prod", "tiny") == client.aliases() == {"prod": "tiny"}
        assert run("alias", "best", "prod") == "prod means tiny, best means tiny\n"
        [row] = json.loads(run("served", "--json"))
        assert (row["id"], row["state"], row["version"]) == ("tiny", "ready", tiny.version)
        assert row["aliases"] == ["prod", "best"]
        assert run("served").splitlines()[1].split()[:3] == ["tiny", "ready", tiny.version]
        assert run("alias", "best", "--remove") == "prod means tiny\n"
        assert client.delete_alias("prod") == {}
        assert run("unload", "tiny") == "tiny is unloaded\n"
        assert client.unload_model("tiny").state == "unloaded"
