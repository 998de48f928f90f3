"""From typed options to `Settings`: what is typed wins over the environment and `simila.toml`."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from simila.cli.errors import WrongUsage
from simila.settings import Settings

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="FOLDER", help="Folder of weights, exported models and collections.", show_default=False
    ),
]


def read_settings(**typed: Any) -> Settings:
    """Settings in which each option that was typed, that is, is not None, has the last word.

    Raises:
        WrongUsage: a value in the environment, in `simila.toml` or typed is not valid.

    """
    try:
        return Settings(**{name: value for name, value in typed.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongUsage(f"setting {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except tomllib.TOMLDecodeError as error:
        raise WrongUsage(f"simila.toml: {error}") from error
    except SettingsError as error:
        raise WrongUsage(f"settings: {error}") from error
