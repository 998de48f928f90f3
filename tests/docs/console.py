"""The README's console blocks: commands after `$ `, then what they print.

`python tests/docs/console.py --write` runs them against a running server and puts what they print into the README.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
MARK = "--- end of a command ---"
COLUMNS = "96"


@dataclass(frozen=True)
class Step:
    command: str
    output: str


def parse(block: str) -> list[Step]:
    steps: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append(Step(line[2:], ""))
        elif steps[-1].command.endswith("\\") and not steps[-1].output:
            steps[-1] = replace(steps[-1], command=f"{steps[-1].command}\n{line}")
        else:
            steps[-1] = replace(steps[-1], output=f"{steps[-1].output}{line}\n")
    return steps


def run(commands: Sequence[str], folder: Path, port: int, *, terminal: bool = True) -> list[str]:
    """What each command prints, in a `terminal` or a pipe, all in one shell in `folder` with `simila` on its path."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SIMILA_PORT": str(port),
        "COLUMNS": COLUMNS,
        **({"TTY_COMPATIBLE": "1"} if terminal else {}),
    }
    script = "\n".join(f"{command}\necho '{MARK}'" for command in commands).replace(
        "127.0.0.1:8000", f"127.0.0.1:{port}"
    )
    finished = subprocess.run(
        ["bash", "-e"], input=script, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise AssertionError(f"a command of the README failed: {finished.stderr}")
    outputs = finished.stdout.split(f"{MARK}\n")[:-1]
    return ["\n".join(line.rstrip() for line in output.splitlines()) + "\n" if output else "" for output in outputs]


def with_outputs(readme: str, port: int) -> str:
    steps = [step for block in BLOCK.findall(readme) for step in parse(block)]
    with TemporaryDirectory() as folder:
        outputs = iter(run([step.command for step in steps], Path(folder), port))

    def block(match: re.Match[str]) -> str:
        return "```console\n" + "".join(f"$ {step.command}\n{next(outputs)}" for step in parse(match[1])) + "```"

    return BLOCK.sub(block, readme)


if __name__ == "__main__":
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    README.write_text(with_outputs(README.read_text(encoding="utf-8"), port=int(sys.argv[2])), encoding="utf-8")
