import pytest

from simila.classifiers.prototypes import PLACEHOLDER
from simila.classifiers.template_sets import TEMPLATE_SETS, template_set
from simila.domain.errors import InvalidInput


@pytest.mark.parametrize("name", TEMPLATE_SETS)
def test_every_template_has_one_place_for_the_label_and_occurs_once(name):
    templates = template_set(name)
    assert len(set(templates)) == len(templates) > 0
    assert [template.count(PLACEHOLDER) for template in templates] == [1] * len(templates)
    assert not [template for template in templates if "ARTICLE" in template]


def test_clips_sets_are_as_large_as_published_and_one_is_in_the_other():
    assert (len(template_set("clip-80")), len(template_set("clip-7"))) == (80, 7)
    assert set(template_set("clip-7")) < set(template_set("clip-80"))


@pytest.mark.parametrize(
    "template",
    [
        "a photo of many {}.",
        "itap of my {}.",
        "the {} in a video game.",
        "a photo of a hard to see {}.",
        "a embroidered {}.",
        "a jpeg corrupted photo of the {}.",
        "graffiti of a {}.",
        "the plushie {}.",
        "a photo of the {}.",
    ],
)
def test_templates_of_the_80(template):
    assert template in template_set("clip-80")


def test_an_unknown_set_is_answered_with_the_known_ones():
    with pytest.raises(InvalidInput) as refused:
        template_set("clip")
    assert refused.value.message == (
        "there is no template set 'clip'; there are plain, clip-80, clip-7, photograph, caption, sketch, satellite,"
        " medical-scan"
    )
