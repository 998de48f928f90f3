"""From typed options to `Settings`: what is typed wins over the environment and `simila.toml`."""

import os
import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from simila.cli.errors import WrongUsage, print_warning
from simila.settings import Settings

PREFIX = "SIMILA_"
TESTS_PREFIX = "SIMILA_TEST_"
# Read by the commands that talk to a server; no setting of the server's.
API_KEY_VARIABLE = "SIMILA_API_KEY"
_QUOTED = re.compile('"(\\w+)"')

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="FOLDER", help="Folder of weights, exported models and collections.", show_default=False
    ),
]


def read_settings(**typed: Any) -> Settings:
    """Settings in which each option that was typed, that is, is not None, has the last word.

    Raises:
        WrongUsage: a value in the environment, in `simila.toml` or typed is not valid, or the file cannot be read.

    """
    _warn_of_unknown_variables()
    _refuse_folder(Path("simila.toml"))
    try:
        return Settings(**{name: value for name, value in typed.items() if value is not None})
    except ValidationError as error:
        raise WrongUsage("; ".join(map(_told, error.errors()))) from error
    except UnicodeDecodeError as error:
        raise WrongUsage(f"simila.toml is not UTF-8: {error.reason} at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise WrongUsage(f"simila.toml: {error}") from error
    except OSError as error:
        raise WrongUsage(f"simila.toml cannot be read: {error.strerror}") from error
    except SettingsError as error:
        # It names the field of which a variable holds JSON, in words alone.
        name = _QUOTED.search(str(error))
        raise WrongUsage(f"{PREFIX}{name[1].upper() if name else ''} is not JSON: {error.__cause__}") from error


def _told(problem: ErrorDetails) -> str:
    place = ".".join(map(str, problem["loc"]))
    return f"setting {place}: {problem['msg'].removeprefix('Value error, ')}"


def _refuse_folder(path: Path) -> None:
    # pydantic-settings passes over whatever is no file.
    if path.is_dir():
        raise WrongUsage(f"{path} cannot be read: Is a directory")


def _warn_of_unknown_variables() -> None:
    # No error: a platform may set variables of its own, as Kubernetes does for a service called simila.
    known = {*_variables(Settings, PREFIX), API_KEY_VARIABLE}
    for name in sorted(os.environ):
        upper = name.upper()
        if upper.startswith(PREFIX) and not upper.startswith(TESTS_PREFIX) and upper not in known:
            [nearest] = get_close_matches(upper, known, n=1, cutoff=0)
            print_warning(f"no setting is called {name}; the nearest is {nearest}")


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        yield variable
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _variables(field.annotation, f"{variable}__")
