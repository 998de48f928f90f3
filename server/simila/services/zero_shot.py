"""Use case: which of these classes is this, by the classes' names alone?"""

import asyncio
from collections.abc import Sequence

from simila.classifiers.activations import Activation
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION
from simila.classifiers.template_sets import template_set
from simila.domain.errors import InvalidInput
from simila.domain.inputs import Source, View
from simila.domain.manifest import Manifest
from simila.engine.model_pool import ModelPool
from simila.services.class_models import LinearModel
from simila.services.decisions import DecisionRules, decide
from simila.services.image_views import check_views, vectors_in_views
from simila.services.label_scorers import LabelScorers
from simila.services.label_sets import Classes, LabelSet
from simila.services.ranking import Classified, check_predictions

_RANK_ALL = DecisionRules()


class ZeroShotService:
    """Classifies by prompts (Radford et al. 2021), and by prototypes that the caller gives."""

    def __init__(self, pool: ModelPool, scorers: LabelScorers, *, most_predictions: int) -> None:
        self._pool = pool
        self._scorers = scorers
        self._most_predictions = most_predictions

    async def classify(
        self,
        encoder_name: str,
        inputs: Sequence[Source],
        classes: Classes,
        *,
        templates: Sequence[str] | None = None,
        named_templates: str | None = None,
        rules: DecisionRules = _RANK_ALL,
        views: Sequence[View] = (),
    ) -> Classified:
        """Decide for each input; prompts are of `templates`, of the set of that name, or of the encoder's own.

        Images are seen in `views`, and the directions of all of them averaged.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`; or `LabelScorers.scorer`.
            CannotServe, InvalidLabels, InvalidInput, LimitExceeded: see `LabelSet.check`, `DecisionRules.check`,
                `check_views`, `check_predictions` and `decide`.

        """
        encoder = self._pool.get(encoder_name)
        chosen = chosen_templates(encoder.manifest, templates, named_templates)
        label_set = LabelSet(encoder.manifest, classes, chosen)
        known = self._scorers.known(label_set)
        if known is None:
            await self._scorers.check(label_set)
        if not rules.only_rank:
            rules.check(label_set.labels)
        check_views(views)
        check_predictions(len(inputs), len(classes), rules.top_k, limit=self._most_predictions)
        embedding = vectors_in_views(lambda: encoder, encoder.manifest.dimension, inputs, views)
        if known:
            (vectors, tokens), scorer = await embedding, known
        else:
            (vectors, tokens), scorer = await asyncio.gather(embedding, self._scorers.scorer(label_set))
        return await decide(LinearModel(scorer, own_activation(encoder.manifest)), rules, vectors, tokens)

    async def close(self) -> None:
        await self._scorers.close()


def chosen_templates(manifest: Manifest, given: Sequence[str] | None, named: str | None) -> tuple[str, ...]:
    if given is not None and named is not None:
        raise InvalidInput("give templates or template_set, not both", param="template_set")
    if named is not None:
        return template_set(named)
    if given is not None:
        return tuple(given)
    return manifest.zero_shot.templates if manifest.zero_shot else ()


def own_activation(manifest: Manifest) -> Activation:
    """The encoder's own; for one without, unit prototypes are the means of classes."""
    rule = manifest.zero_shot
    return Activation(rule.scale, rule.bias, rule.activation) if rule else NEAREST_MEAN_ACTIVATION
