"""What prompts, temperature and centring change in ConSE (Norouzi et al. 2013), the recipe of `simila-lite`.

An image is `unit(softmax(logits / temperature) @ W - centre)` and a text is `unit(its vector - centre)`, where W are
the text vectors of the ImageNet names. The centre is the mean of W, or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from class_folders import ClassFolders
from in_process import Services, text_vectors

from simila.classifiers.activations import softmax
from simila.classifiers.prototypes import prompt_prototype, prompts
from simila.domain.vectors import Float32, Float64, unit_rows
from simila_models.progress import Progress

TEMPLATES = ("{}", "a {}", "a photo of a {}", "a person wearing a {}")
TEMPERATURES = (0.5, 0.7, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class VariantFigure:
    """Accuracy of one recipe; more than one template means their ensemble."""

    templates: tuple[str, ...]
    centred: bool
    temperature: float
    accuracy: float


@dataclass(frozen=True)
class ImagenetOutputs:
    """What the image classifier says of photographs, and the names of its classes."""

    names: tuple[str, ...]
    logits: Float64  # [n, imagenet classes]


@dataclass(frozen=True)
class ConseInputs:
    """What every recipe starts from."""

    logits: Float64  # [n, imagenet classes]
    targets: tuple[int, ...]  # [n], positions of the true labels
    class_vectors: Float32  # [imagenet classes, d], unit length
    prompt_vectors: Float32  # [labels, templates, d], unit length


async def conse_inputs(
    services: Services, text_encoder: str, photographs: ClassFolders, imagenet: ImagenetOutputs, progress: Progress
) -> ConseInputs:
    """Embed the ImageNet names and the prompts of the photographs' classes; `imagenet` is of train."""
    labels = photographs.labels
    all_prompts = [prompt for label in labels for prompt in prompts(label, TEMPLATES)]
    prompt_vectors = await text_vectors(services, text_encoder, all_prompts, progress, description="prompts")
    return ConseInputs(
        logits=imagenet.logits,
        targets=tuple(labels.index(photograph.label) for photograph in photographs.train),
        class_vectors=await text_vectors(
            services, text_encoder, imagenet.names, progress, description="names of the ImageNet classes"
        ),
        prompt_vectors=prompt_vectors.reshape(len(labels), len(TEMPLATES), -1),
    )


def variant_figures(inputs: ConseInputs) -> tuple[VariantFigure, ...]:
    """Score every single template and the ensemble of all, with and without centring, at every temperature."""
    choices = [*((template,) for template in TEMPLATES), TEMPLATES]
    return tuple(
        VariantFigure(templates, centred, temperature, _accuracy(inputs, templates, temperature, centred=centred))
        for templates, centred, temperature in product(choices, (True, False), TEMPERATURES)
    )


def conse_image_vectors(logits: Float64, class_vectors: Float32, centre: Float32, temperature: float) -> Float32:
    """Expected class vectors around a centre: `float32 [n, d], unit length`."""
    expected = softmax(logits / temperature) @ class_vectors.astype(np.float64)
    return unit_rows((expected - centre).astype(np.float32))


def _accuracy(inputs: ConseInputs, templates: Sequence[str], temperature: float, *, centred: bool) -> float:
    centre = inputs.class_vectors.mean(axis=0) * centred
    images = conse_image_vectors(inputs.logits, inputs.class_vectors, centre, temperature)
    columns = [TEMPLATES.index(template) for template in templates]
    labels = np.stack([prompt_prototype(unit_rows(vectors[columns] - centre)) for vectors in inputs.prompt_vectors])
    return float(np.mean((images @ labels.T).argmax(axis=1) == np.asarray(inputs.targets)))
