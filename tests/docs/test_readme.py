"""Every command of the README prints what the README says."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from docs import console
from docs.settings_table import README, with_table
from server_process import ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository

NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
BAR = re.compile(r"[█▉▊▋▌▍▎▏]+")
SCORE_TOLERANCE = 0.01


def test_the_settings_are_those_of_the_code() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_table(readme) == readme


def test_every_command_prints_what_the_readme_says(tmp_path: Path, exported_repository: ModelRepository) -> None:
    steps = [
        step for block in console.BLOCK.findall(README.read_text(encoding="utf-8")) for step in console.parse(block)
    ]
    data = folder_with_models(tmp_path / "data", exported_repository.root)
    tour = tmp_path / "tour"
    tour.mkdir()
    with ServerProcess.start(data) as server:
        outputs = console.run([step.command for step in steps], tour, port=int(server.url.rpartition(":")[2]))
    assert len(outputs) == len(steps) >= 10
    for step, output in zip(steps, outputs, strict=True):
        assert words(output) == words(step.output), step.command
        assert numbers(output) == pytest.approx(numbers(step.output), abs=SCORE_TOLERANCE), step.command


def test_the_python_example_runs(
    tmp_path: Path, exported_repository: ModelRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    with ServerProcess.start(folder_with_models(tmp_path / "data", exported_repository.root)) as server:
        exec(example.replace("Simila()", f"Simila({server.url!r})"), {})
    [printed] = re.findall(r"print\(.*\)  # (.*)", example)
    assert float(capsys.readouterr().out) == pytest.approx(float(printed), abs=SCORE_TOLERANCE)


def words(output: str) -> list[str]:
    """All but the figures, which another processor rounds otherwise, and the bars drawn of them."""
    return NUMBER.sub("#", BAR.sub("", output)).split()


def numbers(output: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(output)]


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\S+)", README.with_name("CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == "0.1.0"
    assert all(newer > older for newer, older in pairwise(versions))
