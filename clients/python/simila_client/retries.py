"""When a request is sent again, and after how long. Nothing here waits."""

import random
from dataclasses import dataclass

from simila_client.errors import ConnectionBroke, NotReady, Overloaded, SimilaClientError


@dataclass(frozen=True)
class Retries:
    """How often a request is sent again, and how long between.

    Waits double from `first_seconds`, and each is a random part of that ("full jitter": M. Brooker, Exponential Backoff
    and Jitter, AWS Architecture Blog 2015), on top of what the server's `Retry-After` asks for. Who is asked to wait
    for longer than `longest_seconds` gets the error instead.
    """

    most: int = 4
    first_seconds: float = 0.25
    longest_seconds: float = 30

    def wait_seconds(self, error: SimilaClientError, *, failures: int, repeatable: bool) -> float | None:
        """How long to wait after a request failed for the `failures`-th time; None: give up.

        A request that was refused may always be sent again. One whose connection broke may have been carried out, so
        it must be `repeatable`.
        """
        if failures > self.most or not _passes(error, repeatable):
            return None
        asked_seconds = getattr(error, "retry_after_seconds", None) or 0.0
        if asked_seconds > self.longest_seconds:
            return None
        jitter_seconds = random.uniform(0, self.first_seconds * 2 ** (failures - 1))  # noqa: S311 - no secret
        return min(asked_seconds + jitter_seconds, self.longest_seconds)


def _passes(error: SimilaClientError, repeatable: bool) -> bool:
    # Of the reasons not to be ready, those that pass soon carry Retry-After; an unloaded encoder does not.
    if isinstance(error, NotReady):
        return error.retry_after_seconds is not None
    return isinstance(error, Overloaded) or (repeatable and isinstance(error, ConnectionBroke))
