import json
import socket

import pytest
import trustme

pytestmark = pytest.mark.usefixtures("one_encoder")


@pytest.fixture
def findings(run):
    """What `simila doctor` finds, by subject, and its exit code."""

    def find(*options):
        result = run("doctor", "--json", *options)
        return {finding["subject"]: finding for finding in json.loads(result.stdout)}, result.exit_code

    return find


@pytest.fixture
def one_encoder(monkeypatch):
    monkeypatch.setenv("SIMILA_ENCODERS", "efficientnet-lite0")
    monkeypatch.setenv("SIMILA_PORT", "0")


def test_where_all_is_well_it_says_so(findings, data_dir):
    found, code = findings("--data-dir", str(data_dir))
    assert code == 0
    assert found["encoder efficientnet-lite0"]["verdict"] == "ok"
    assert {finding["verdict"] for finding in found.values()} <= {"ok", "warning"}


def test_what_is_not_exported_is_a_problem_with_its_command(findings, tmp_path):
    found, code = findings("--data-dir", str(tmp_path))
    problem = found["encoder efficientnet-lite0"]
    assert (code, problem["verdict"]) == (1, "problem")
    assert problem["remedy"] == "run: simila models export efficientnet-lite0"


def test_a_file_in_place_of_the_data_folder_is_no_matter_of_its_owner(findings, tmp_path):
    (tmp_path / "data").write_text("")
    found, code = findings("--data-dir", str(tmp_path / "data"))
    assert (code, found["data folder"]["message"]) == (1, f"{tmp_path / 'data'} is no folder")
    assert found["data folder"]["remedy"] == "set SIMILA_DATA_DIR to a folder"


def test_settings_that_are_not_valid_are_one_finding_among_the_others(findings, data_dir, monkeypatch):
    monkeypatch.setenv("SIMILA_LOG_LEVEL", "loud")
    monkeypatch.setenv("SIMILA_DEVICE", "cpu:9")
    found, code = findings("--data-dir", str(data_dir))
    assert (code, found["settings"]["verdict"], found["device"]["verdict"]) == (1, "problem", "problem")
    assert "log_level" in found["settings"]["message"]


def test_a_file_of_settings_that_cannot_be_read_is_the_only_finding(findings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simila.toml").write_text("port = [")
    found, code = findings()
    assert (code, list(found)) == (1, ["settings"])


def test_a_device_that_is_not_there_is_a_problem(findings, data_dir, monkeypatch):
    monkeypatch.setenv("SIMILA_DEVICE", "cpu:9")
    found, code = findings("--data-dir", str(data_dir))
    assert (code, found["device"]["verdict"]) == (1, "problem")
    assert "cpu:9" in found["device"]["message"]


def test_an_open_address_without_keys_is_a_problem_and_a_taken_port_a_warning(findings, data_dir, monkeypatch):
    monkeypatch.setenv("SIMILA_HOST", "0.0.0.0")
    found, _ = findings("--data-dir", str(data_dir))
    assert (found["address"]["verdict"], found["address"]["remedy"]) == ("problem", "run: simila keys create")
    monkeypatch.setenv("SIMILA_HOST", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SIMILA_PORT", str(taken.getsockname()[1]))
        found, _ = findings("--data-dir", str(data_dir))
    assert found["address"]["verdict"] == "warning"


def test_collections_that_others_may_read_are_warned_of(findings, tmp_path):
    (tmp_path / "collections").mkdir()
    (tmp_path / "collections").chmod(0o755)
    found, _ = findings("--data-dir", str(tmp_path))
    assert found["data folder"]["remedy"] == f"run: chmod go= {tmp_path / 'collections'}"


def test_a_certificate_is_read_and_what_is_wrong_with_it_told(findings, data_dir, monkeypatch, tmp_path):
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    monkeypatch.setenv("SIMILA_TLS_CERTIFICATE", str(tmp_path / "certificate.pem"))
    monkeypatch.setenv("SIMILA_TLS_KEY", str(tmp_path / "key.pem"))
    assert findings("--data-dir", str(data_dir))[0]["certificate"]["verdict"] == "ok"

    another = trustme.CA().issue_cert("localhost")
    another.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    found, code = findings("--data-dir", str(data_dir))
    assert (code, found["certificate"]["verdict"]) == (1, "problem")
    assert "key values mismatch" in found["certificate"]["message"]
