"""What serving depends on is under licences that ask for no more than a notice: checked against what is installed."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

SERVED = "simila[cpu,grpc,openvino,otel]"
ALLOWED = re.compile(
    r"\b(MIT|MIT-CMU|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|HPND|Zlib|Unlicense|MPL|Mozilla|CC0)",
    re.IGNORECASE,
)
# Of a choice one may be taken; nothing here is only under these.
REFUSED = re.compile(r"\b[AL]?GPL|\bSSPL|\bBUSL|NonCommercial|Proprietary", re.IGNORECASE)
CHOICE = re.compile(r"\bor\b", re.IGNORECASE)
MOST_CHARACTERS = 200


def main() -> None:
    packages = dict(sorted(closure(SERVED).items()))
    faults = [f"{name}: {found or 'says nothing'}" for name, found in packages.items() if not is_allowed(found)]
    if "--list" in sys.argv:
        sys.stdout.writelines(f"{name}: {found}\n" for name, found in packages.items())
    if faults:
        sys.exit("\n".join(["licences that nobody has looked at:", *faults]))


def closure(requirement: str) -> dict[str, str]:
    """The licences of all that a requirement brings with it and that is installed, by name."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [Requirement(requirement)]
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:  # of another system, or an extra that is not asked for
            continue
        found[package.name] = licence(package)
        waiting += [one for one in map(Requirement, package.requires or ()) if _is_wanted(one, wanted)]
    return found


def licence(package: Distribution) -> str:
    """What a package says of its licence, the most exact first."""
    return next(filter(None, _said(package)), "")[:MOST_CHARACTERS]


def is_allowed(found: str) -> bool:
    return bool(ALLOWED.search(found)) and (not REFUSED.search(found) or bool(CHOICE.search(found)))


def _said(package: Distribution) -> Iterator[str]:
    yield package.metadata.get("License-Expression", "")
    classifiers = package.metadata.get_all("Classifier") or []
    yield ", ".join(one.rpartition("::")[2].strip() for one in classifiers if one.startswith("License ::"))
    yield package.metadata.get("License", "")


def _is_wanted(requirement: Requirement, by: Requirement) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *by.extras))


if __name__ == "__main__":
    main()
