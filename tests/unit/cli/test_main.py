import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simila import __version__


def test_version(run):
    assert run("--version").stdout == f"simila {__version__}\n"


def test_help_names_every_command(run):
    shown = run("--help").stdout

    assert all(command in shown for command in ("serve", "models", "embed", "search", "classify", "collections"))


def test_the_command_line_starts_without_what_only_a_server_needs():
    heavy = ("torch", "fastapi", "uvicorn", "onnxruntime", "faiss", "PIL", "tokenizers")
    program = f"import sys, simila.__main__; print([name for name in {heavy!r} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout == "[]\n"


def test_a_shell_completes_what_is_typed(run):
    asked = {"_SIMILA_COMPLETE": "complete_bash", "COMP_WORDS": "simila coll", "COMP_CWORD": "1"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'simila'; from simila.__main__ import main; main()"]

    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["collections"]
    assert "--install-completion" in run("--help").stdout


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_prints_nowhere(closed):
    command = ["sh", "-c", f'exec "$0" -m simila models list {closed}', sys.executable]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_full_disk_behind_standard_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "simila", "models", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


EXAMPLE = re.compile(r"^ *(?:cat \S+ \| )?(simila .+)$", re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    ["embed", "classify", "train", "search", "evaluate", "models add"]
    + [
        f"collections {name}"
        for name in [
            "list",
            "create",
            "count",
            "delete-items",
            "index",
            "import",
            "forget",
            "export",
            "backup",
            "restore",
            "migrate",
        ]
    ],
)
def test_help_teaches_by_examples_whose_options_exist(run, command):
    examples = EXAMPLE.findall(run(*command.split(), "--help").stdout)

    assert examples
    options = {option for example in examples for option in re.findall(r"--[a-z-]+", example)}
    shown = run(*command.split(), "--help").stdout
    assert all(shown.count(option) > sum(example.count(option) for example in examples) for option in options)
