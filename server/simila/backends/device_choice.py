"""From the setting `device` to the devices that a tower runs on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simila.backends import Runtime, TowerGraph
from simila.backends.onnx_runtime import CpuRuntime
from simila.backends.registry import AUTO_ORDER
from simila.domain.errors import DeviceUnavailable

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
    """What the setting leaves to choose from, best first, and why; a setting other than `auto` leaves one choice."""

    choices: Sequence[Choice]
    passed_over: Mapping[str, str]

    def for_tower(self, graph: TowerGraph) -> Choice:
        """The first choice that has nothing against this tower; the last one is not asked."""
        for choice in self.choices[:-1]:
            if choice.runtime.objection(graph) is None:
                return choice
        return self.choices[-1]

    def __str__(self) -> str:
        """One line: what comes first, and why nothing before it does."""
        first, *others = map(str, self.choices)
        reasons = "; ".join(f"no {word}: {reason}" for word, reason in self.passed_over.items())
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
    choice = Choice(word, runtimes[word], labels)
    if not number:
        return Devices([choice], {})
    if int(number) not in labels:
        raise DeviceUnavailable(f"device '{setting}' is not there; found: {choice}")
    return Devices([Choice(word, runtimes[word], {int(number): labels[int(number)]})], {})


def _automatic(runtimes: Mapping[str, Runtime]) -> Devices:
    choices, passed_over = [], {}
    for word in AUTO_ORDER:
        if runtime := runtimes.get(word):
            try:
                choices.append(Choice(word, runtime, dict(enumerate(runtime.devices()))))
            except DeviceUnavailable as error:
                passed_over[word] = error.message
    return Devices(choices, passed_over)


CPU_ALONE = choose_devices("cpu", {"cpu": CpuRuntime()})
