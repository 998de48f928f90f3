"""Use case: which of these classes is this, by the classes' names alone?"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from simila.classifiers.activations import Activation
from simila.classifiers.linear_scorer import cosine_scorer
from simila.classifiers.prototypes import Prototypes, prompt_prototype, prompts
from simila.domain.errors import CannotServe
from simila.domain.inputs import Input, TextInput
from simila.domain.manifest import ZeroShot
from simila.domain.vectors import Float32
from simila.engine.model_pool import ModelPool
from simila.services.embedding import EmbeddingService
from simila.services.prompt_checks import PromptLimits, check_prompts
from simila.services.ranking import Classified, check_predictions, rank


class PrototypeCache:
    """Label prototypes by encoder fingerprint, templates and label; the least recently used go first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._prototypes: OrderedDict[tuple[str, tuple[str, ...], str], Float32] = OrderedDict()

    def get(self, fingerprint: str, templates: tuple[str, ...], label: str) -> Float32 | None:
        key = (fingerprint, templates, label)
        if key in self._prototypes:
            self._prototypes.move_to_end(key)
        return self._prototypes.get(key)

    def put(self, fingerprint: str, templates: tuple[str, ...], label: str, prototype: Float32) -> None:
        self._prototypes[fingerprint, templates, label] = prototype
        while len(self._prototypes) > self._capacity:
            self._prototypes.popitem(last=False)


class ZeroShotService:
    """Classifies by prompts (Radford et al. 2021); the vectors of labels seen before are not computed again."""

    def __init__(
        self, pool: ModelPool, embedding: EmbeddingService, *, cached_labels: int, limits: PromptLimits
    ) -> None:
        self._pool = pool
        self._embedding = embedding
        self._cache = PrototypeCache(cached_labels)
        self._limits = limits

    async def classify(
        self,
        encoder_name: str,
        inputs: Sequence[Input],
        labels: Sequence[str],
        *,
        templates: Sequence[str] | None = None,
        top_k: int | None = None,
    ) -> Classified:
        """Rank the labels for each input.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`.
            CannotServe: the encoder has no text tower to read the labels with.
            InvalidLabels, InvalidInput, LimitExceeded: see `check_prompts` and `check_predictions`.

        """
        rule = self._rule(encoder_name)
        chosen_templates = rule.templates if templates is None else tuple(templates)
        check_prompts(labels, chosen_templates, self._limits)
        check_predictions(len(inputs), len(labels), top_k, limit=self._limits.predictions)
        embedded, prototypes = await asyncio.gather(
            self._embedding.embed(encoder_name, inputs),
            self._prototypes(encoder_name, labels, chosen_templates),
        )
        activation = Activation(rule.scale, rule.bias, rule.activation)
        predictions = await rank(cosine_scorer(prototypes), activation, embedded.vectors, top_k)
        return Classified(predictions, sum(embedded.tokens))

    def _rule(self, encoder_name: str) -> ZeroShot:
        rule = self._pool.get(encoder_name).manifest.zero_shot
        if rule is None:
            message = f"encoder {encoder_name} has no text tower, so it cannot classify by label names"
            raise CannotServe(message, param="model")
        return rule

    async def _prototypes(self, encoder_name: str, labels: Sequence[str], templates: tuple[str, ...]) -> Prototypes:
        fingerprint = self._pool.get(encoder_name).manifest.fingerprint
        found = {label: self._cache.get(fingerprint, templates, label) for label in labels}
        missing = [label for label, prototype in found.items() if prototype is None]
        if missing:
            texts = [TextInput(prompt) for label in missing for prompt in prompts(label, templates)]
            embedded = await self._embedding.embed(encoder_name, texts, field="prompts")
            for label, vectors in zip(missing, np.split(embedded.vectors, len(missing)), strict=True):
                found[label] = prototype = prompt_prototype(vectors)
                self._cache.put(fingerprint, templates, label, prototype)
        rows = [prototype for prototype in found.values() if prototype is not None]
        return Prototypes(tuple(labels), np.stack(rows))
