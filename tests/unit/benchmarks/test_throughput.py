"""The parts of the throughput benchmark that need no server and no load."""

import json
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import orjson
import pytest
import throughput
from speed import lifetime
from speed.contest import Pass, Standing, contest, ratios
from speed.corpus import LONGEST_TOKENS, mixed_texts, paragraphs, sentences, short_texts
from speed.limit import Layout, cut, layouts
from speed.loads import BOUNDARY, INFINITY, SIMILA, SIMILA_MULTIPART, Load, simila_classify
from speed.photographs import HEIGHT, WIDTH, jpegs
from speed.probe import Answer
from speed.references import WrongAnswer, classification_check, embeddings_check
from speed.throughput_report import show_report
from speed.wrk import Bodies, WrkMissing, check_wrk, figures
from tokenizers import Tokenizer

from simila.cli.errors import WrongUsage
from simila.domain.manifest import Modality
from simila.preprocessing.images import image_row
from simila_models.catalogue import bundled_manifests

RIGHT = np.array([[0.6, 0.8]], dtype=np.float32)


class Worker:
    """Does a fixed number of items a second, and remembers what it was given."""

    def __init__(self, name: str, rate: float, *, fails: bool = False) -> None:
        self.name = name
        self.load = Load("load", "encoder", connections=4, groups=[("a", "b")])
        self.runs: list[tuple[int, int]] = []
        self._rate = rate
        self._fails = fails

    def run(self, first: int, requests: int) -> Pass:
        self.runs.append((first, requests))
        if self._fails:
            raise WrongAnswer("a vector is wrong")
        seconds, cpu_seconds = 2 * requests / self._rate, requests / 256
        return Pass(2 * requests, seconds, 10, 20, cosines=(1.0, 0.99995), cpu_seconds=cpu_seconds)


def silent(message: str) -> None:
    pass


def standing(name: str, rate: float, *, invalid: str | None = None) -> Standing:
    return Standing(name, rate, (rate,), p50_ms=1.0, p99_ms=2.0, checked=3, lowest_cosine=1.0, invalid=invalid)


def answer(entries: Sequence[object], *, status: int = 200) -> Answer:
    return Answer(7, status, orjson.dumps({"data": entries}), seconds=0.0)


def turned(cosine: float) -> list[float]:
    """Turn the right vector by the angle of this cosine."""
    sine = (1 - cosine**2) ** 0.5
    return [cosine * 0.6 - sine * 0.8, cosine * 0.8 + sine * 0.6]


def told(**cosines: float) -> Answer:
    return answer([{"predictions": [{"label": label, "cosine": cosine} for label, cosine in cosines.items()]}])


def test_everybody_gets_the_same_requests_for_about_the_same_time():
    slow, fast = Worker("slow", 100), Worker("fast", 400)

    contest([slow, fast], rounds=2, seconds=3, tell=silent)

    assert slow.runs == [(0, 8), (8, 150), (608, 150)]
    assert fast.runs == [(0, 8), (8, 600), (608, 600)]


def test_medians_are_over_the_rounds_without_the_first():
    found = contest([Worker("slow", 100)], rounds=3, seconds=1, tell=silent)[0]

    assert (found.rate, found.rates) == (100, (100, 100, 100))
    assert (found.p50_ms, found.p99_ms, found.checked, found.lowest_cosine) == (10, 20, 6, 0.99995)
    assert found.cpu_ms == 1000 / 512


def test_who_answers_wrongly_is_invalid_and_does_not_go_on():
    wrong, right = Worker("wrong", 100, fails=True), Worker("right", 100)

    standings = contest([right, wrong], rounds=2, seconds=1, tell=silent)

    assert [entry.invalid for entry in standings] == [None, "a vector is wrong"]
    assert (len(wrong.runs), len(right.runs)) == (1, 3)


def test_ratios_are_ours_to_every_valid_other():
    limit, ours, peer = standing("limit", 200), standing("simila", 150), standing("infinity", 100)

    assert ratios([limit, ours, peer]) == {"simila/limit": 0.75, "simila/infinity": 1.5}
    assert ratios([limit, ours, standing("infinity", 100, invalid="wrong")]) == {"simila/limit": 0.75}
    assert ratios([limit, standing("simila", 150, invalid="wrong")]) == {}


def test_a_vector_of_the_floor_passes_and_one_below_is_wrong():
    check = embeddings_check({7: RIGHT})

    assert check(answer([{"embedding": turned(0.99991)}])) == pytest.approx(0.99991, abs=1e-6)
    with pytest.raises(WrongAnswer, match=r"request 7: a vector has cosine 0\.9998"):
        check(answer([{"embedding": turned(0.9998)}]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (answer([{"embedding": [0.6, 0.8]}] * 2), r"vectors of shape \(2, 2\), not \(1, 2\)"),
        (answer([], status=429), "status 429"),
    ],
)
def test_too_many_vectors_and_an_error_are_wrong(given, message):
    with pytest.raises(WrongAnswer, match=message):
        embeddings_check({7: RIGHT})(given)


def test_cosines_of_labels_are_compared_by_name():
    check = classification_check({7: {"cat": 0.5, "dog": 0.25}})

    assert check(told(cat=0.501, dog=0.25)) == pytest.approx(0.999)
    with pytest.raises(WrongAnswer, match=r"off by 0\.25"):
        check(told(cat=0.25, dog=0.5))


def test_batches_are_cut_where_rows_or_padded_tokens_are_full():
    ids = [[0] * length for length in (2, 2, 3, 5, 9)]

    assert [[len(row) for row in batch] for batch in cut(ids, rows=2, tokens=None)] == [[2, 2], [3, 5], [9]]
    assert [[len(row) for row in batch] for batch in cut(ids, rows=8, tokens=8)] == [[2, 2], [3], [5], [9]]


def test_the_limit_tries_one_thread_a_core_and_all_threads_together():
    tried = layouts(Modality.TEXT, cores=2)

    assert Layout(callers=2, threads=1, rows=64, tokens=256) in tried
    assert Layout(callers=1, threads=2, rows=32) in tried


def test_bodies_lie_behind_their_length(tmp_path):
    bodies = Bodies.written(tmp_path / "bodies", [b"a\nb", b""], path="/", content_type="text/plain")

    assert bodies.file.read_bytes() == b"3\na\nb0\n"


def test_the_figures_of_wrk_follow_its_summary():
    lines = iter(["  Requests/sec: 3", "", '{"p50_ms": 1.5, "p99_ms": 2.5, "failed": 0}', ""])

    found = figures(4.0, lines)

    assert (found.seconds, found.p50_ms, found.p99_ms, found.failed) == (4.0, 1.5, 2.5, 0)


def test_without_wrk_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(WrkMissing, match="apt-get install wrk"):
        check_wrk()


def test_requests_are_written_as_each_server_reads_them():
    texts, image = ("one", "two"), (b"\xff\xd8",)

    assert json.loads(SIMILA.body("m", texts)) == {"model": "m", "input": ["one", "two"]}
    assert json.loads(SIMILA.body("m", image)) == {"model": "m", "input": ["data:image/jpeg;base64,/9g="]}
    assert json.loads(INFINITY.body("m", image))["modality"] == "image"
    assert json.loads(simila_classify(["cat"]).body("m", image))["labels"] == ["cat"]


def test_a_form_has_the_model_and_the_bytes_of_the_image():
    parts = SIMILA_MULTIPART.body("m", (b"\xff\xd8",)).split(b"--" + BOUNDARY.encode())

    assert parts[0] == b""
    assert parts[1].endswith(b'name="model"\r\n\r\nm\r\n')
    assert parts[2].endswith(b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\r\n")
    assert parts[3] == b"--\r\n"


def test_photographs_are_distinct_and_of_one_size():
    images = jpegs(12)
    tower = bundled_manifests()["efficientnet-lite0"].image

    assert len(set(images)) == 12
    assert (WIDTH, HEIGHT) == (640, 480)
    assert image_row(images[0], tower, max_pixels=WIDTH * HEIGHT).std() > 10


def test_texts_are_real_sentences_of_the_lengths_that_are_wanted(exported_repository):
    tokenizer = Tokenizer.from_file(str(exported_repository.tower("all-minilm-l6-v2", Modality.TEXT).tokenizer))

    def lengths(texts: list[str]) -> list[int]:
        return [len(encoding) for encoding in tokenizer.encode_batch_fast(texts)]

    short, mixed = short_texts(tokenizer, 2000), mixed_texts(tokenizer, 4000)

    assert len(set(short)) == 2000
    assert 15 <= np.mean(lengths(short)) <= 17
    assert 26 <= np.mean(lengths(mixed)) <= 30
    assert 100 < max(lengths(mixed)) <= LONGEST_TOKENS
    assert set(mixed) <= {*sentences(), *paragraphs()}


def test_the_slope_is_that_of_the_last_half():
    growing_at_first = [100, 200, 300, 400, 400, 401, 402, 403]

    assert lifetime.slope_per_10_000(growing_at_first, part=1000) == pytest.approx(10)


def test_a_scenario_and_a_peer_that_nobody_knows_are_wrong_usage():
    assert throughput.chosen_scenarios("T1,Z1") == ["T1", "Z1"]
    with pytest.raises(WrongUsage, match="no scenario is called T2"):
        throughput.chosen_scenarios("T1,T2")
    with pytest.raises(WrongUsage, match="no peer is called tei; there is infinity"):
        throughput.chosen_peer("tei")


def test_wrong_usage_ends_with_2_also_when_run_as_a_script(tmp_path):
    command = [sys.executable, throughput.__file__, "--scenario", "T2"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ")


def test_an_invalid_standing_fails_the_run():
    valid = throughput.ScenarioResult("T1", "m", (standing("limit", 2), standing("simila", 1)))
    invalid = throughput.ScenarioResult("T1", "m", (standing("limit", 2), standing("simila", 1, invalid="wrong")))

    assert throughput.exit_code([valid]) == 0
    assert throughput.exit_code([valid, invalid]) == 1


def test_the_table_has_rates_ratios_and_what_makes_a_figure_worthless(capsys):
    standings = (standing("limit", 200), standing("simila", 150), standing("infinity", 0, invalid="a vector is wrong"))
    result = throughput.ScenarioResult("T1", "m", standings, ratios(standings), layout="2 callers")
    show_report([result, throughput.ScenarioResult("I1", "m", skipped="415")])

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["T1", "m", "limit", "200.0", "1", "2", "3", "1.000000", "2", "callers"] in lines
    assert ["T1", "m", "simila", "150.0", "1", "2", "3", "1.000000", "0.750", "of", "limit"] in lines
    assert ["I1", "m", "skipped:", "415"] in lines
    assert any("INVALID:" in line for line in lines)
