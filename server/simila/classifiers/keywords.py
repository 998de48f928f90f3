"""Topics: a class is several phrases, and the documents closest to them (Lbl2Vec, Schopf et al. 2021)."""

import numpy as np

from simila.classifiers.local_outliers import OUTLIER_FACTOR, local_outlier_factors
from simila.classifiers.prototypes import prompt_prototype
from simila.domain.errors import InvalidInput
from simila.domain.vectors import Float32, unit_rows

MOST_DOCUMENTS = 100
FEWEST_DOCUMENTS = 10
LEAST_COSINE = 0.3


def keyword_prototype(phrase_vectors: Float32) -> Float32:
    """The direction `float32 [d], unit length` of the mean of one class's phrases `float32 [phrases, d], unit length`.

    Raises:
        InvalidInput: there is no phrase.

    """
    if not len(phrase_vectors):
        raise InvalidInput("a class needs at least one phrase", param="keywords")
    return prompt_prototype(phrase_vectors)


def refined_by_documents(
    prototype: Float32,
    document_vectors: Float32,
    *,
    least_cosine: float = LEAST_COSINE,
    fewest: int = FEWEST_DOCUMENTS,
    most: int = MOST_DOCUMENTS,
) -> Float32:
    """Move a topic from its phrases to the documents that speak of it: `float32 [d], unit length`.

    Of `document_vectors float32 [n, d], unit length` those within `least_cosine` of the `prototype float32 [d]` count,
    but at least the `fewest` closest and at most the `most`. Outliers among them (Breunig et al. 2000) are left out;
    the mean of the rest is the class's. Without documents the prototype stays.

    Raises:
        InvalidInput: not 1 <= fewest <= most.

    """
    if not 1 <= fewest <= most:
        message = f"fewest is {fewest} and most is {most}; there must be 1 <= fewest <= most"
        raise InvalidInput(message, param="keywords")
    cosines = document_vectors @ prototype
    closest = np.argsort(-cosines, kind="stable")[:most]
    enough = max(fewest, int((cosines[closest] >= least_cosine).sum()))
    candidates = document_vectors[closest[:enough]]
    if not len(candidates):
        return prototype
    central = candidates[local_outlier_factors(candidates) <= OUTLIER_FACTOR]
    refined: Float32 = unit_rows(central.mean(axis=0, keepdims=True))[0]
    return refined
