"""The scenarios in which a server is held against the limit and a peer."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from simila.domain.manifest import Manifest, Modality
from speed.bench import PEER, SERVED, Bench
from speed.clip_export import CLIP
from speed.contest import Limit, Standing, contest, ratios
from speed.corpus import mixed_texts, short_texts
from speed.labels import label_names
from speed.limit import LimitProcess, best_layout
from speed.loads import INFINITY, SIMILA, SIMILA_MULTIPART, Load, Wire, simila_classify
from speed.photographs import jpegs
from speed.references import References, classification_check, embeddings_check

TEXT_ENCODER = "all-minilm-l6-v2"
IMAGE_ENCODERS = ("efficientnet-lite0", CLIP)
JOINT_ENCODERS = ("simila-lite", CLIP)
TEXT_BODIES = 2000
IMAGE_BODIES = 60
LABELS = 100
MOST_PROBED_ITEMS = 256
MOST_PROBED_REQUESTS = 24
LAYOUT_TRIALS = 2
TRIAL_ITEMS = {Modality.TEXT: 512, Modality.IMAGE: 32}


@dataclass(frozen=True)
class ScenarioResult:
    """What a scenario found about an encoder. `ratios` are of median rates, `layouts` the limit's trials in items/s."""

    scenario: str
    encoder: str
    standings: tuple[Standing, ...] = ()
    ratios: dict[str, float] | None = None
    layouts: dict[str, float] | None = None
    layout: str | None = None
    skipped: str | None = None


def single_texts(bench: Bench) -> list[ScenarioResult]:
    """T1: one short text a request, 32 connections."""
    manifest = bench.encoder(TEXT_ENCODER)
    texts = short_texts(tokenizer(bench, manifest.name), TEXT_BODIES)
    return [_embedding(bench, manifest, Load("T1", manifest.name, 32, [(text,) for text in texts]), with_peer=True)]


def many_texts(bench: Bench) -> list[ScenarioResult]:
    """T32: 32 texts of mixed length a request, 8 connections."""
    manifest = bench.encoder(TEXT_ENCODER)
    texts = mixed_texts(tokenizer(bench, manifest.name), TEXT_BODIES * 32)
    groups = [tuple(texts[start : start + 32]) for start in range(0, len(texts), 32)]
    return [_embedding(bench, manifest, Load("T32", manifest.name, 8, groups), with_peer=True)]


def single_images(bench: Bench) -> list[ScenarioResult]:
    """I1: one JPEG a request as a data URI, 16 connections."""
    return [
        _embedding(bench, bench.encoder(name), _images("I1", name), with_peer=name == CLIP) for name in IMAGE_ENCODERS
    ]


def multipart_images(bench: Bench) -> list[ScenarioResult]:
    """I1-multipart: the same images as files of a form."""
    return [
        _embedding(bench, bench.encoder(name), _images("I1-multipart", name), wire=SIMILA_MULTIPART)
        for name in IMAGE_ENCODERS
    ]


def zero_shot(bench: Bench) -> list[ScenarioResult]:
    """Z1: one image and 100 labels whose vectors are cached, beside I1 on the same server."""
    return [_zero_shot(bench, bench.encoder(name)) for name in JOINT_ENCODERS]


SCENARIOS: dict[str, Callable[[Bench], list[ScenarioResult]]] = {
    "T1": single_texts,
    "T32": many_texts,
    "I1": single_images,
    "I1-multipart": multipart_images,
    "Z1": zero_shot,
}


def _embedding(
    bench: Bench, manifest: Manifest, load: Load, *, wire: Wire = SIMILA, with_peer: bool = False
) -> ScenarioResult:
    probed = _probed(load)
    modality = Modality.TEXT if isinstance(load.groups[0][0], str) else Modality.IMAGE
    references = References(manifest, bench.repository)
    check = embeddings_check({number: references.vectors(load.groups[number]) for number in probed})
    with ExitStack() as stack:
        server = stack.enter_context(bench.simila([manifest.name]))
        status, answer = server.post(wire.path, wire.content_type, wire.body(load.encoder, load.groups[0]))
        if status != 200:
            return ScenarioResult(load.name, load.encoder, skipped=f"the server answers {status}: {answer[:200]!r}")
        process = stack.enter_context(LimitProcess(manifest, modality, bench.repository))
        sample = [item for group in load.groups for item in group][: TRIAL_ITEMS[modality]]
        bench.tell(f"{load.name}, {load.encoder}: trying the limit's layouts")
        layout, layouts = best_layout(process, sample, trials=LAYOUT_TRIALS)
        contenders = [Limit(load, process), bench.served(SERVED, load, server, wire, probed, check)]
        if with_peer and bench.peer_folder:
            peer = stack.enter_context(bench.infinity(manifest))
            contenders.append(bench.served(PEER, load, peer, INFINITY, probed, check))
        standings = contest(contenders, rounds=bench.rounds, seconds=bench.seconds, tell=bench.tell)
    return ScenarioResult(load.name, load.encoder, tuple(standings), ratios(standings), layouts, str(layout))


def _zero_shot(bench: Bench, manifest: Manifest) -> ScenarioResult:
    images, labels = _images("Z1", manifest.name), label_names(LABELS)
    probed = _probed(images)
    references = References(manifest, bench.repository)
    vectors = {number: references.vectors(images.groups[number]) for number in probed}
    assert manifest.zero_shot
    prompts = [manifest.zero_shot.templates[0].replace("{}", label) for label in labels]
    cosines = np.concatenate([vectors[number] for number in probed]) @ references.vectors(prompts).T
    right = {number: dict(zip(labels, row.tolist(), strict=True)) for number, row in zip(probed, cosines, strict=True)}
    with bench.simila([manifest.name]) as server:
        contenders = [
            bench.served("I1", images, server, SIMILA, probed, embeddings_check(vectors)),
            bench.served("Z1", images, server, simila_classify(labels), probed, classification_check(right)),
        ]
        standings = contest(contenders, rounds=bench.rounds, seconds=bench.seconds, tell=bench.tell)
    return ScenarioResult("Z1", manifest.name, tuple(standings), ratios(standings))


def _probed(load: Load) -> list[int]:
    """Numbers of the requests that a probe sends, spread over the load."""
    requests = min(MOST_PROBED_REQUESTS, MOST_PROBED_ITEMS // load.items_a_request)
    return list(range(0, len(load.groups), -(-len(load.groups) // requests)))


def _images(name: str, encoder: str) -> Load:
    return Load(name, encoder, 16, [(jpeg,) for jpeg in jpegs(IMAGE_BODIES)])


def tokenizer(bench: Bench, encoder: str) -> Tokenizer:
    return Tokenizer.from_file(str(bench.repository.tower(encoder, Modality.TEXT).tokenizer))
