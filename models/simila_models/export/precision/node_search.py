"""Which nodes must stay in float: those that do most harm when they alone are quantised."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """The nodes that stay in float, the most harmful first, and the lowest cosine with all others quantised."""

    in_float: tuple[str, ...]
    lowest_cosine: float


def nodes_in_float(
    nodes: Sequence[str],
    lowest_cosine: Callable[[Collection[str]], float],
    alone: Callable[[str], float],
    wanted: float,
    *,
    most: int,
) -> Found:
    """Leave as few nodes in float as reach `wanted`, and none where not even `most` of them do.

    `lowest_cosine` quantises the nodes it is given and says how far the worst vector is from the reference's; `alone`
    says it, less exactly, of one node. Errors of nodes add up nearly, so the order of those quantised alone is the
    order in which to leave them out; how many is found by halving.
    """
    all_quantised = lowest_cosine(nodes)
    if all_quantised >= wanted:
        return Found((), all_quantised)
    cosines = {node: alone(node) for node in nodes}
    worst_first = sorted(nodes, key=lambda node: cosines[node])

    def found(count: int) -> Found:
        in_float = worst_first[:count]
        return Found(tuple(in_float), lowest_cosine([node for node in nodes if node not in set(in_float)]))

    best, too_few = found(most), 0
    if best.lowest_cosine < wanted:
        return Found((), all_quantised)  # below its floor either way, and who forces it wants it fast
    while len(best.in_float) - too_few > 1:
        middle = (too_few + len(best.in_float)) // 2
        tried = found(middle)
        if tried.lowest_cosine >= wanted:
            best = tried
        else:
            too_few = middle
    return best
