"""What a process holds, from /proc."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

READINGS = 5
READING_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessState:
    resident_bytes: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> "ProcessState":
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        values = {name: int(value) for name, value in re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE)}
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(1024 * values["VmRSS"], values["Threads"], descriptors)

    @classmethod
    def at_rest(cls, pid: int) -> "ProcessState":
        """The least of some readings: a file that is open for an instant is none that stays open."""
        readings = [cls.of(pid)]
        while len(readings) < READINGS:
            time.sleep(READING_SECONDS)
            readings.append(cls.of(pid))
        return cls(
            min(state.resident_bytes for state in readings),
            min(state.threads for state in readings),
            min(state.descriptors for state in readings),
        )
