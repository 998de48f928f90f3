"""Named sets of prompt templates; `{}` is where the label goes."""

from collections.abc import Mapping

from simila.domain.errors import InvalidInput, quoted

_ARTICLE = "ARTICLE"
_CLIP_WITH_ARTICLE = (
    *(
        f"a {kind} photo of ARTICLE {{}}."
        for kind in (
            "bad", "black and white", "blurry", "bright", "close-up", "cropped", "dark", "good", "jpeg corrupted",
            "low resolution", "pixelated",
        )
    ),
    *(
        f"a photo of ARTICLE {kind}{{}}."
        for kind in ("", "clean ", "cool ", "dirty ", "hard to see ", "large ", "nice ", "small ", "weird ")
    ),
    *(
        f"{work} of ARTICLE {{}}."
        for work in (
            "a doodle", "a drawing", "a painting", "a rendering", "a rendition", "a sculpture", "a sketch", "a tattoo",
            "art", "graffiti", "itap",
        )
    ),
    *(f"ARTICLE {kind} {{}}." for kind in ("cartoon", "embroidered", "origami", "plastic", "plushie", "toy")),
    "ARTICLE {} in a video game.",
)  # fmt: skip
_CLIP_WITHOUT_ARTICLE = ("a photo of many {}.", "a photo of one {}.", "a photo of my {}.", "itap of my {}.")

TEMPLATE_SETS: Mapping[str, tuple[str, ...]] = {
    "plain": ("{}",),
    # Radford et al. 2021: the ensemble of 80 for ImageNet, and the seven that its authors' search over it kept.
    "clip-80": (
        *(template.replace(_ARTICLE, article) for template in _CLIP_WITH_ARTICLE for article in ("a", "the")),
        *_CLIP_WITHOUT_ARTICLE,
    ),
    "clip-7": (
        "itap of a {}.",
        "a bad photo of the {}.",
        "a origami {}.",
        "a photo of the large {}.",
        "a {} in a video game.",
        "art of the {}.",
        "a photo of the small {}.",
    ),
    # By kind of data: what a prompt begins with tells a model where its images come from (Saito et al. 2022).
    "photograph": ("a photo of a {}.", "a photo of the {}.", "a close-up photo of a {}.", "a cropped photo of a {}."),
    "caption": ("{}", "a {}", "this is a picture of a {}", "there is a {} in the picture", "someone with a {}"),
    "sketch": (
        "a sketch of a {}.",
        "a drawing of a {}.",
        "a doodle of a {}.",
        "a black and white line drawing of a {}.",
    ),
    "satellite": ("a satellite photo of {}.", "a centered satellite photo of a {}.", "an aerial view of {}."),
    "medical-scan": ("a medical scan showing {}.", "a radiograph showing {}.", "a scan with findings of {}."),
}


def template_set(name: str) -> tuple[str, ...]:
    """The templates of a set.

    Raises:
        InvalidInput: no set has this name.

    """
    if name not in TEMPLATE_SETS:
        message = f"there is no template set {quoted(name)}; there are {', '.join(TEMPLATE_SETS)}"
        raise InvalidInput(message, param="template_set")
    return TEMPLATE_SETS[name]
