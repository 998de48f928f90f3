"""What is installed is what constraints.txt locks, so that who audits the lock audits what is tested and released.

`--advisories` asks instead whether PyPI's advisories can be asked from here, which `make audit` does where they can.
"""

import re
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

import httpx

LOCK = Path(__file__).parents[2] / "constraints.txt"
# What every environment brings along, and what is tested here.
UNLOCKED = {"pip", "setuptools", "wheel", "simila"}
# Where pip-audit asks, of any package; mirrors of the index have no such page.
ADVISORIES = "https://pypi.org/pypi/pip/24.0/json"
PATIENCE_SECONDS = 5


def main() -> None:
    if "--advisories" in sys.argv:
        if not advisories_answer():
            sys.exit("advisories: not asked, because pypi.org does not give them here; the lock alone was checked")
        return
    found, locked = installed(), versions(LOCK.read_text(encoding="utf-8"))
    if faults := differences(found, locked):
        sys.exit("\n".join(["not as constraints.txt says (make lock, or make setup):", *faults]))
    sys.stdout.write(f"lock: {len(found)} packages are installed as constraints.txt says\n")


def installed() -> dict[str, str]:
    """The versions of this environment's packages, by name."""
    found = {_normal(package.name): package.version.partition("+")[0] for package in distributions()}
    return {name: version for name, version in found.items() if name not in UNLOCKED}


def versions(lock: str) -> dict[str, str]:
    """What a file of constraints says, by name."""
    pairs = (line.partition("==") for line in lock.splitlines() if not line.startswith("#"))
    return {_normal(name): version.strip() for name, _, version in pairs}


def differences(found: Mapping[str, str], locked: Mapping[str, str]) -> list[str]:
    """One line for each package that is not locked, or locked at another version."""
    return [
        f"{name}: {version} is installed, {locked.get(name, 'none')} is locked"
        for name, version in sorted(found.items())
        if locked.get(name) != version
    ]


def advisories_answer() -> bool:
    """Whether PyPI says what is known of its packages' faults."""
    try:
        return "vulnerabilities" in httpx.get(ADVISORIES, timeout=PATIENCE_SECONDS).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return False


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
