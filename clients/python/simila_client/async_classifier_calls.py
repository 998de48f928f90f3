# Written by tests/docs/async_client.py from classifier_calls.py; change that, then: make docs
"""The part of the awaiting client that classifies, teaches and forgets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from simila_client import classifier_wire as wire
from simila_client.async_transport import AsyncTransport
from simila_client.bodies import listed
from simila_client.evaluations import Evaluation, Forgotten
from simila_client.results import Classification, Classifier, Content, Example, Filter, Source, Trained
from simila_client.rules import ClassSource, Rules
from simila_client.transport import ignore


class AsyncClassifierCalls:
    """Methods of `AsyncSimila`."""

    _transport: AsyncTransport

    async def classify(
        self,
        inputs: Sequence[Source],
        *,
        model: str,
        labels: Sequence[ClassSource],
        templates: Sequence[str] | None = None,
        top_k: int | None = None,
        rules: Rules | None = None,
        views: Sequence[str] | None = None,
    ) -> tuple[Classification, ...]:
        """Zero-shot classification: which of `labels` each input is, names and phrases put into `templates` at `{}`.

        Images are seen in `views` (`plain`, `flip`, `top_left`, …), and the average counts.
        """
        options = {"top_k": top_k, "views": views}
        contents = await self._transport.read_all(listed("inputs", inputs))
        request = wire.classify(contents, model=model, labels=labels, templates=templates, rules=rules, **options)
        return await self._transport.send(request)

    async def train(
        self,
        examples: Sequence[Example],
        *,
        model: str | None = None,
        classifier_id: str | None = None,
        method: str | None = None,
        name: str | None = None,
    ) -> Trained:
        """Make a classifier under an encoder, or add examples to one of the method `nearest_mean`.

        Methods are `nearest_mean` (by default), `knn`, `ridge` and `logistic`; the last two are trained in the
        background.
        """
        options = {"model": model, "classifier_id": classifier_id, "method": method, "name": name}
        return await self._transport.send(
            wire.train(await self._transport.read_all(listed("examples", examples, Example)), **options)
        )

    async def train_on(
        self,
        collection: str,
        *,
        method: str | None = None,
        name: str | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        labels: Sequence[ClassSource] | None = None,
        templates: Sequence[str] | None = None,
        options: Mapping[str, float] | None = None,
    ) -> Trained:
        """Make a classifier of a collection's items, in the background.

        `keywords`, `pseudo_labels` and `label_propagation` learn from items without labels too: they move the classes
        of `labels`, or the means of the items that have labels, to the items that are most surely theirs. `options` are
        the method's own, such as `k` or `item_weight`.
        """
        how = {"method": method, "name": name, "filter": filter, "templates": templates, **(options or {})}
        return await self._transport.send(wire.train_on(collection, labels=labels, **how))

    async def classifiers(self) -> tuple[Classifier, ...]:
        """The trained classifiers."""
        return await self._transport.send(wire.classifiers())

    async def classifier(self, classifier_id: str) -> Classifier:
        """One trained classifier, and whether it is ready."""
        return await self._transport.send(wire.classifier(classifier_id))

    async def delete_classifier(self, classifier_id: str) -> None:
        """Delete a trained classifier."""
        await self._transport.send(wire.delete_classifier(classifier_id))

    async def set_priors(
        self,
        classifier_id: str,
        *,
        inputs: Sequence[Content] | None = None,
        priors: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """Say how frequent a classifier's classes are where it is used, or have it estimated from unlabelled inputs.

        The classifier keeps the answer, and corrects its probabilities by it unless `Rules` name other priors.
        """
        contents = None if inputs is None else await self._transport.read_all(listed("inputs", inputs))
        return await self._transport.send(wire.set_priors(classifier_id, inputs=contents, priors=priors))

    async def delete_priors(self, classifier_id: str) -> None:
        """Let a classifier's classes be equally frequent again."""
        await self._transport.send(wire.delete_priors(classifier_id))

    async def classify_trained(
        self,
        classifier_id: str,
        inputs: Sequence[Content],
        *,
        top_k: int | None = None,
        rules: Rules | None = None,
        views: Sequence[str] | None = None,
    ) -> tuple[Classification, ...]:
        """Which of a trained classifier's classes each input is."""
        options = {"top_k": top_k, "views": views}
        contents = await self._transport.read_all(listed("inputs", inputs))
        return await self._transport.send(wire.classify_trained(classifier_id, contents, rules=rules, **options))

    async def classify_by_example(
        self,
        name: str,
        inputs: Sequence[Content],
        *,
        top_k: int | None = None,
        method: str | None = None,
        k: int | None = None,
        calibrated: bool | None = None,
        false_rejection_rate: float | None = None,
        fit_thresholds: bool = False,
        rules: Rules | None = None,
        views: Sequence[str] | None = None,
    ) -> tuple[Classification, ...]:
        """Which of the collection's labels each input is: by `nearest_mean`, `knn` of `k` items, or `blend`.

        With `false_rejection_rate`, inputs less familiar than all but so many of the items have the label None. With
        `fit_thresholds`, inputs have all `labels` above the thresholds that suit the items best.
        """
        options = {
            "top_k": top_k,
            "method": method,
            "k": k,
            "calibrated": calibrated,
            "unknown": None if false_rejection_rate is None else {"false_rejection_rate": false_rejection_rate},
            "multi_label": {"fitted": True} if fit_thresholds else None,
            "views": views,
        }
        contents = await self._transport.read_all(listed("inputs", inputs))
        return await self._transport.send(wire.classify_by_example(name, contents, rules=rules, **options))

    async def evaluate(
        self,
        name: str,
        *,
        method: str | None = None,
        k: int | None = None,
        calibrated: bool | None = None,
        held_out: float | None = None,
        seed: int | None = None,
        hold_out_classes: Sequence[str] | None = None,
        picture: Path | None = None,
    ) -> Evaluation:
        """How well the labelled items classify each other: each by all others, or a `held_out` share by the rest.

        Classes that are held out are not learned, and tell how well the unknown is told from the known. The confusion
        matrix and the calibration are drawn to the file `picture`, if one is given.
        """
        options = {"method": method, "k": k, "calibrated": calibrated, "held_out": held_out, "seed": seed}
        held = None if hold_out_classes is None else list(hold_out_classes)
        if picture is not None:
            await self._transport.download(
                wire.evaluation_picture(name, **options, hold_out_classes=held), picture, ignore
            )
        return await self._transport.send(wire.evaluate(name, **options, hold_out_classes=held))

    async def forget(
        self,
        name: str,
        *,
        ids: Sequence[str] | None = None,
        label: str | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
    ) -> Forgotten:
        """Delete items of some ids, of a class, or that match, so that no file of the server holds a trace of them."""
        given = None if ids is None else list(ids)
        return await self._transport.send(wire.forget(name, ids=given, label=label, filter=filter))
