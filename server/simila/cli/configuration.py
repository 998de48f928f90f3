"""From typed options to `Settings`: what is typed wins over the environment and `simila.toml`."""

import os
import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from simila.cli.errors import WrongUsage, print_warning
from simila.settings import Settings

PREFIX = "SIMILA_"
TESTS_PREFIX = "SIMILA_TEST_"
# Read by the commands that talk to a server; no setting of the server's.
API_KEY_VARIABLE = "SIMILA_API_KEY"

TLS_PAIR = {"tls_certificate", "tls_key"}

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="FOLDER", help="Folder of weights, exported models and collections.", show_default=False
    ),
]


class WrongSettings(WrongUsage):
    """Values that are not valid. `rest` has defaults in their place, for whoever looks for what else is wrong."""

    def __init__(self, problems: Sequence[ErrorDetails], rest: Settings) -> None:
        super().__init__("; ".join(map(_told, problems)))
        self.rest = rest


def read_settings(**typed: Any) -> Settings:
    """Settings in which each option that was typed, that is, is not None, has the last word.

    Raises:
        WrongSettings: values in the environment, in `simila.toml` or typed are not valid.
        WrongUsage: the file cannot be read.

    """
    _warn_of_unknown_variables()
    _refuse_folder(Path("simila.toml"))
    given = {name: value for name, value in typed.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = error.errors()
        raise WrongSettings(problems, _rest(given, {str(problem["loc"][0]) for problem in problems})) from error
    except UnicodeDecodeError as error:
        raise WrongUsage(f"simila.toml is not UTF-8: {error.reason} at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise WrongUsage(f"simila.toml: {error}") from error
    except OSError as error:
        raise WrongUsage(f"simila.toml cannot be read: {error.strerror}") from error


class _KnownSettings(Settings):
    """Settings that pass over names which are none."""

    model_config = SettingsConfigDict(extra="ignore")


def _rest(typed: dict[str, Any], wrong: set[str]) -> Settings:
    fields = Settings.model_fields
    replaced = wrong | TLS_PAIR if wrong & TLS_PAIR else wrong
    defaults = {name: fields[name].get_default(call_default_factory=True) for name in replaced & fields.keys()}
    if "port" in wrong:
        defaults["port"] = 0  # nobody asked for the default one, which may be taken
    return _KnownSettings(**{**typed, **defaults})


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
