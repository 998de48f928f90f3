"""Where code tells how long the phases of a request took, whether or not somebody traces it."""

from collections.abc import Callable, Mapping

RecordPhases = Callable[[str, str, Mapping[str, float]], None]
"""Told of the encoder, the tower, and the seconds of each phase that has just ended, in their order."""

_recorders: list[RecordPhases] = []


def add_recorder(recorder: RecordPhases) -> None:
    _recorders.append(recorder)


def remove_recorder(recorder: RecordPhases) -> None:
    _recorders.remove(recorder)


def record_phases(encoder: str, tower: str, seconds: Mapping[str, float]) -> None:
    """Tell whoever traces of phases, one after the other, of which the last ends now."""
    for recorder in _recorders:
        recorder(encoder, tower, seconds)
