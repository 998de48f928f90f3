import asyncio
import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import classifier_quality
import numpy as np
import pytest
import quality
from class_folders import ClassFolders, NoClassFolders, read_class_folders
from classifier_quality import Refinement, RuleFigures, ShotFigure, digits_split, rule_figures, shot_figures
from conse_variants import TEMPERATURES, TEMPLATES, ConseInputs, VariantFigure, conse_image_vectors, variant_figures
from imagenet_outputs import imagenet_outputs
from in_process import photograph_vectors, running_services, text_vectors
from nearest_mean_quality import LabelledVectors, NearestMeanFigure, nearest_mean_figure
from PIL import Image
from quality_report import ClassifierFigures, QualityFigures, QualityReport, show_report
from skimage import data
from typer.testing import CliRunner
from zero_shot_quality import Calibration, ScaleFigure, ZeroShotAnswers, ZeroShotFigures, calibrate

from simila.domain.manifest import ZeroShot
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import unit_rows
from simila.settings import Settings
from simila_models.catalogue import bundled_manifests
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
from tolerances import PARITY_COSINE

SCENES = {"cat": data.chelsea, "cup of coffee": data.coffee, "rocket": data.rocket}
CROPS_OF_SPLIT = {"train": range(3), "test": range(3, 5)}

FIGURES = QualityFigures(
    nearest_mean=(NearestMeanFigure("efficientnet-lite0", 5, accuracy=0.75, differing_from_scikit_learn=2),),
    zero_shot=ZeroShotFigures(
        "simila-lite",
        ("a {}",),
        0.5,
        0.25,
        Calibration(8.0, 4.0, (ScaleFigure(4.0, 1.5, 1.75), ScaleFigure(8.0, 2.0, 2.25))),
    ),
    classifiers=ClassifierFigures(
        shots=(ShotFigure("digits", 2, {"ridge": 0.375, "blend": None}),),
        rules=(
            RuleFigures(
                "digits",
                0.5,
                None,
                None,
                0.5,
                0.625,
                0.875,
                None,
                (1.0,),
                (1.0,),
                (Refinement("pseudo_labels", "names", 0.5, 0.75),),
            ),
        ),
    ),
    variants=tuple(
        VariantFigure(TEMPLATES, centred=True, temperature=temperature, accuracy=0.1 * (position + 1))
        for position, temperature in enumerate(TEMPERATURES)
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Five overlapping crops of each of three photographs: three to learn from and two to test on."""
    root = tmp_path_factory.mktemp("photographs")
    for label, scene in SCENES.items():
        image = Image.fromarray(scene())
        for split, crops in CROPS_OF_SPLIT.items():
            (root / split / label).mkdir(parents=True)
            for crop in crops:
                left = crop * (image.width - image.height) // 5
                image.crop((left, 0, left + image.height, image.height)).save(root / split / label / f"{crop}.jpg")
    return root


@pytest.fixture(scope="module")
def photographs(folder) -> ClassFolders:
    return read_class_folders(folder)


@pytest.fixture(scope="module")
def settings(data_dir, exported_repository: ModelRepository) -> Settings:
    settings = Settings(data_dir=data_dir)
    assert settings.models_dir == exported_repository.root
    return settings


@pytest.fixture(scope="module")
def measured(folder, settings):
    """What the command says of the crops, as JSON."""
    return CliRunner().invoke(quality.app, [str(folder), "--data-dir", str(settings.data_dir), "--json"])


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command in an empty folder, so that no simila.toml is found."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(quality.app, [str(argument) for argument in arguments])


def report_of(figures: QualityFigures) -> QualityReport:
    return QualityReport("photographs", ("cat", "rocket"), 9, 6, figures, seconds=1.25)


def test_json_is_one_object_on_stdout_and_progress_is_on_stderr(measured):
    report = json.loads(measured.stdout)
    assert measured.exit_code == 0
    assert report["classes"] == ["cat", "cup of coffee", "rocket"]
    assert (report["train_photographs"], report["test_photographs"]) == (9, 6)
    assert report["seconds"] > 0
    assert "simila-lite: test photographs" in measured.stderr


def test_means_of_crops_know_other_crops_of_the_same_photograph_and_scikit_learn_agrees(measured):
    assert json.loads(measured.stdout)["figures"]["nearest_mean"] == [
        {"encoder": encoder, "examples_a_class": examples, "accuracy": 1.0, "differing_from_scikit_learn": 0}
        for encoder in ("efficientnet-lite0", "efficientnet-lite2")
        for examples in (1, 3)
    ]


def test_names_alone_tell_a_cat_a_cup_of_coffee_and_a_rocket_apart(measured):
    zero_shot = json.loads(measured.stdout)["figures"]["zero_shot"]

    rule = bundled_manifests()["simila-lite"].zero_shot
    assert zero_shot["templates"] == list(rule.templates)
    assert zero_shot["calibration"]["manifest_scale"] == rule.scale
    assert (zero_shot["train_accuracy"], zero_shot["test_accuracy"]) == (1.0, 1.0)


def test_every_recipe_is_scored_once(measured):
    variants = json.loads(measured.stdout)["figures"]["variants"]

    recipes = {(tuple(variant["templates"]), variant["centred"], variant["temperature"]) for variant in variants}
    assert len(recipes) == len(variants) == (len(TEMPLATES) + 1) * 2 * len(TEMPERATURES)


def test_centring_unmasks_a_label_that_is_near_everything():
    """Label 1 is what both ImageNet classes have in common; without centring an unsure image goes to it."""
    class_vectors = unit_rows(np.array([[10, 1], [10, -1]], dtype=np.float32))
    labels = np.stack([class_vectors[0], np.array([1, 0], dtype=np.float32)])
    prompts = np.repeat(labels[:, None], len(TEMPLATES), axis=1)
    prompts[:, TEMPLATES.index("a {}")] = labels[::-1]
    inputs = ConseInputs(np.array([[1.2, 0.0]]), targets=(0,), class_vectors=class_vectors, prompt_vectors=prompts)

    accuracies: dict[tuple[tuple[str, ...], bool], list[float]] = {}
    for figure in variant_figures(inputs):
        accuracies.setdefault((figure.templates, figure.centred), []).append(figure.accuracy)

    # The image is nearer to its own label while its probability is above 3/4: logits of 1.2 above T times log 3.
    assert accuracies[("{}",), False] == [1, 1, 1, 0, 0]
    assert accuracies[("{}",), True] == [1, 1, 1, 1, 1]
    assert accuracies[("a {}",), False] == [0, 0, 0, 1, 1]
    assert accuracies[TEMPLATES, True] == [1, 1, 1, 1, 1]


def test_the_recipe_of_the_manifest_gives_the_vectors_that_are_served(photographs, settings):
    joint, text = (bundled_manifests()[name] for name in ("simila-lite", "all-minilm-l6-v2"))
    files = fetch_sources(joint, settings.data_dir / "sources", Silent())
    imagenet = imagenet_outputs(joint, files, photographs.test, Silent())

    async def served_and_class_vectors():
        async with running_services(settings, [joint, text]) as services:
            images = await photograph_vectors(services, joint.name, photographs.test, Silent(), description="images")
            return images, await text_vectors(services, text.name, imagenet.names, Silent(), description="names")

    served, class_vectors = asyncio.run(served_and_class_vectors())
    computed = conse_image_vectors(imagenet.logits, class_vectors, class_vectors.mean(axis=0), temperature=1.0)

    assert np.einsum("nd,nd->n", served, computed).min() >= PARITY_COSINE


def test_only_the_first_examples_of_each_class_are_learnt():
    vectors = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], dtype=np.float32)
    train = LabelledVectors(vectors, ("a", "a", "b", "b"))
    test = LabelledVectors(np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32), ("a", "b", "b"))

    figure = nearest_mean_figure("any", 1, train, test)

    assert (figure.accuracy, figure.differing_from_scikit_learn) == (2 / 3, 0)


def test_the_best_scale_is_chosen_on_train():
    rule = ZeroShot(scale=2.0, templates=("{}",))
    right = ZeroShotAnswers(np.array([[1.0, 0.0]]), targets=(0,), accuracy=1.0)
    wrong = ZeroShotAnswers(np.array([[1.0, 0.0]]), targets=(1,), accuracy=0.0)

    calibration = calibrate(rule, train=right, test=wrong)

    at_manifest_scale = next(figure for figure in calibration.figures if figure.scale == 2.0)
    assert at_manifest_scale.train_nats == pytest.approx(math.log(1 + math.exp(-2)))
    assert at_manifest_scale.test_nats == pytest.approx(math.log(1 + math.exp(2)))
    assert calibration.best_scale == max(figure.scale for figure in calibration.figures)


def test_the_exit_code_tells_that_scikit_learn_disagrees():
    agreeing = dataclasses.replace(FIGURES.nearest_mean[0], differing_from_scikit_learn=0)

    assert quality.exit_code(FIGURES) == 1
    assert quality.exit_code(dataclasses.replace(FIGURES, nearest_mean=(agreeing,))) == 0


def test_tables_show_every_figure(capsys):
    show_report(report_of(FIGURES))

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a", "{}", "0.500", "0.250"] in lines
    assert ["efficientnet-lite0", "5", "0.750", "2"] in lines
    assert ["all", "of", "them", "yes", "0.100", "0.200", "0.300", "0.400", "0.500"] in lines
    assert ["4", "1.500", "1.750", "best", "on", "train"] in lines
    assert ["8", "2.000", "2.250", "manifest"] in lines
    assert lines[-1] == ["took", "1.2", "s"]


def test_without_torch_the_comparison_is_left_out_and_said(capsys):
    show_report(report_of(dataclasses.replace(FIGURES, variants=None)))

    assert "compared with torch: pip install 'simila[export]'" in " ".join(capsys.readouterr().out.split())


def test_only_the_comparison_needs_torch(monkeypatch, photographs, settings):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "imagenet_outputs")
    joint = bundled_manifests()["simila-lite"]

    assert quality._imagenet_outputs(photographs, settings, joint, Silent()) is None


def test_a_photograph_that_is_none_is_named(run, folder, settings, tmp_path):
    for split in CROPS_OF_SPLIT:
        for label in SCENES:
            (tmp_path / split / label).mkdir(parents=True)
            (tmp_path / split / label / "0.jpg").write_bytes((folder / "train" / label / "0.jpg").read_bytes())
    (tmp_path / "train" / "cat" / "0.jpg").write_bytes(b"no image")

    result = run(tmp_path, "--data-dir", settings.data_dir)

    assert result.exit_code == 1
    assert f"{tmp_path / 'train' / 'cat' / '0.jpg'}: not an image of an accepted format" in result.stderr


def test_a_missing_folder_is_wrong_usage_also_when_run_as_a_script(tmp_path):
    missing = tmp_path / "missing"
    command = [sys.executable, quality.__file__, missing]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert result.returncode == 2
    assert f"there is no folder {missing}; give one with train/CLASS/*.jpg and test/CLASS/*.jpg" in result.stderr


def test_without_an_argument_and_without_the_default_folder_it_says_where_it_looked(run, monkeypatch, tmp_path):
    monkeypatch.setattr(quality, "DEFAULT_FOLDER", tmp_path / "shared" / "data" / "clothing")

    result = run()

    assert result.exit_code == 0
    assert f"looked at {tmp_path}/shared/data/clothing" in result.stdout.replace("\n", "")


def test_a_folder_without_class_folders_is_refused(run, tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "loose.jpg").write_bytes(b"")

    result = run(tmp_path)

    assert result.exit_code == 2
    assert f"{tmp_path / 'train'} has no class folders with *.jpg files" in result.stderr


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/a/0.jpg", "train/b/0.jpg", "test/a/0.jpg", "test/c/0.jpg"], "only one has: b, c"),
        (["train/a/0.jpg", "test/a/0.jpg"], "at least 2 classes are needed, found 1"),
    ],
)
def test_splits_need_the_same_classes_and_more_than_one(tmp_path, files, message):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    with pytest.raises(NoClassFolders, match=message):
        read_class_folders(tmp_path)


@pytest.fixture(scope="module")
def figures():
    return asyncio.run(rule_figures(digits_split()))


def test_learning_class_by_class_is_as_good_as_learning_at_once(figures):
    assert figures.incremental == figures.at_once
    assert len(figures.incremental) == 5


def test_items_without_labels_make_prototypes_better(figures):
    assert [one.method for one in figures.refinements] == ["pseudo_labels", "label_propagation"]
    assert all(one.after > one.before + 0.02 for one in figures.refinements)


def test_estimated_priors_help_under_a_shift_and_the_unknown_are_told(figures):
    assert figures.shifted_corrected >= figures.shifted > 0.9
    assert min(figures.auroc_logit, figures.auroc_neighbour) > 0.9


def test_more_examples_are_more_accurate(monkeypatch):
    monkeypatch.setattr(classifier_quality, "SHOTS", (1, 16))
    monkeypatch.setattr(classifier_quality, "DRAWS", 2)
    few, many = shot_figures(digits_split())
    for method in classifier_quality.METHODS:
        assert few.accuracies[method] + 0.1 < many.accuracies[method]
    assert (few.shots, few.accuracies["blend"]) == (1, None)
