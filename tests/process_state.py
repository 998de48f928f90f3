"""What a process holds, from /proc."""

import re
from dataclasses import dataclass
from pathlib import Path


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
