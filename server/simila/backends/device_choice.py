"""From the setting `device` to the devices that a tower runs on."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simila.backends import Runtime, TowerGraph
from simila.backends.onnx_runtime import CpuRuntime
from simila.backends.registry import AUTO_ORDER, STAND_INS
from simila.domain.errors import DeviceUnavailable

logger = logging.getLogger("simila.backends")

AUTO = "auto"


@dataclass(frozen=True)
class Choice:
    """A runtime by its word, and the numbers and labels of those of its devices that may be used."""

    word: str
    runtime: Runtime
    labels: Mapping[int, str]

    def __str__(self) -> str:
        if self.runtime.uses_host_cores:
            return f"{self.word} ({self.labels[0]})"
        return ", ".join(f"{self.word}:{number} ({label})" for number, label in self.labels.items())


@dataclass(frozen=True)
class Devices:
    """What the setting leaves to choose from, best first, and why; other than with `auto`, one and its stand-in."""

    choices: Sequence[Choice]
    passed_over: Mapping[str, str]
    is_automatic: bool = False

    def for_tower(self, graph: TowerGraph) -> Choice:
        """The first choice that has nothing against this tower; the last one is not asked."""
        for choice in self.choices[:-1]:
            objection = choice.runtime.objection(graph)
            if objection is None:
                return choice
            level = logging.DEBUG if self.is_automatic else logging.WARNING
            logger.log(level, "%s is not run by %s: %s", graph.files.folder.name, choice.word, objection)
        return self.choices[-1]

    def __str__(self) -> str:
        """One line: what comes first, and why nothing before it does."""
        first, *others = map(str, self.choices)
        words_by_reason: dict[str, list[str]] = {}
        for word, reason in self.passed_over.items():
            words_by_reason.setdefault(reason, []).append(word)
        reasons = "; ".join(f"no {', no '.join(words)}: {reason}" for reason, words in words_by_reason.items())
        return first + "".join(f", else {other}" for other in others) + (f" ({reasons})" if reasons else "")


def choose_devices(setting: str, runtimes: Mapping[str, Runtime]) -> Devices:
    """Find what `setting` asks for: `auto`, or a word of `runtimes` with or without the number of a device.

    Raises:
        DeviceUnavailable: it asks for what is not there; the message names what was found.

    """
    if setting == AUTO:
        return _automatic(runtimes)
    word, _, number = setting.partition(":")
    if word not in runtimes or not re.fullmatch(r"\d*", number):
        known = ", ".join([AUTO, *runtimes])
        raise DeviceUnavailable(f"device '{setting}' is none of {known}, each with :NUMBER or without (SIMILA_DEVICE)")
    try:
        labels = dict(enumerate(runtimes[word].devices()))
    except DeviceUnavailable as error:
        found = str(_automatic(runtimes))
        raise DeviceUnavailable(f"device '{setting}' is not there: {error.message}; found: {found}") from error
    if number and int(number) not in labels:
        found = str(Choice(word, runtimes[word], labels))
        raise DeviceUnavailable(f"device '{setting}' is not there; found: {found}")
    chosen = {int(number): labels[int(number)]} if number else labels
    words = [word, *([STAND_INS[word]] if word in STAND_INS else [])]
    return Devices([Choice(one, runtimes[one], chosen) for one in words], {})


def _automatic(runtimes: Mapping[str, Runtime]) -> Devices:
    choices, passed_over = [], {}
    for word in AUTO_ORDER:
        if runtime := runtimes.get(word):
            try:
                choices.append(Choice(word, runtime, dict(enumerate(runtime.devices()))))
            except DeviceUnavailable as error:
                passed_over[word] = error.message
    return Devices(choices, passed_over, is_automatic=True)


CPU_ALONE = choose_devices("cpu", {"cpu": CpuRuntime()})
