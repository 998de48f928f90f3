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
    wanted: float,
    *,
    most: int,
    on_node: Callable[[int], None],
) -> Found:
    """Leave as few nodes in float as reach `wanted`, at most `most` of them; where none suffice, `most` are left.

    `lowest_cosine` quantises the nodes it is given and says how far the worst vector is from the reference's. Errors of
    nodes add up nearly, so the order of those quantised alone is the order in which to leave them out; how many is
    found by halving. `on_node` is told how many nodes were tried alone.
    """
    all_quantised = lowest_cosine(nodes)
    if all_quantised >= wanted:
        return Found((), all_quantised)
    alone = {}
    for done, node in enumerate(nodes):
        on_node(done)
        alone[node] = lowest_cosine([node])
    worst_first = sorted(nodes, key=lambda node: alone[node])

    def found(count: int) -> Found:
        in_float = worst_first[:count]
        return Found(tuple(in_float), lowest_cosine([node for node in nodes if node not in set(in_float)]))

    best, too_few = found(most), 0
    while best.lowest_cosine >= wanted and len(best.in_float) - too_few > 1:
        middle = (too_few + len(best.in_float)) // 2
        tried = found(middle)
        if tried.lowest_cosine >= wanted:
            best = tried
        else:
            too_few = middle
    return best
