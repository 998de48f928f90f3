"""A stand-in for the server that speaks its JSON: enough of it for the command line to be tested without encoders."""

import base64
import json
from urllib.parse import unquote

import httpx
import numpy as np

from embedding_bodies import embedding_body

UNREADABLE = b"no image"
DIMENSION = 8
ENCODER = {
    "id": "m",
    "description": "",
    "licence": "",
    "state": "ready",
    "error": None,
    "modalities": ["text"],
    "dimension": DIMENSION,
    "fingerprint": "ab12",
    "certificates": {},
    "aliases": ["usual"],
}


class FakeServer:
    """Answers requests from memory. The image `UNREADABLE` is refused, as are more than `max_items` in one upsert."""

    def __init__(self):
        self.collections = {}
        self.classifiers = {}
        self.trained_state = "ready"
        self.refinement = None
        self.stale = []
        self.unreadable = []
        self.requests = []
        self.max_items = 100
        self.refusals = []
        self.sequence = 0
        self.broken_at = None

    def __call__(self, request):
        path = unquote(request.url.raw_path.decode().partition("?")[0])
        body = embedding_body(request) if request.content else None
        self.requests.append((request.method, path, body))
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return error(status, "busy", "too much to do", headers=headers)
        match [request.method, *path.removeprefix("/v1/").split("/", 3)]:
            case ["POST", "embeddings"]:
                return self.embed(body)
            case ["POST", "classify"]:
                return classified(body, body.get("labels", ["ant", "bee"]))
            case ["POST", "train"]:
                return self.train(body)
            case ["PUT", "classifiers", name, "priors"]:
                return httpx.Response(200, json={"classifier_id": name, "priors": body.get("priors") or {"ant": 1.0}})
            case ["GET", "classifiers", name]:
                return httpx.Response(200, json=self.classifiers[name])
            case ["GET", "models" | "collections" as kind]:
                return listed([ENCODER] if kind == "models" else [self.described(name) for name in self.collections])
            case ["PUT", "collections", name]:
                self.collections.setdefault(name, {"encoder": body["encoder"], "items": {}})
                return httpx.Response(200, json=self.described(name))
            case [method, "collections", name, *rest]:
                return self.of_collection(method, name, rest, body, request.url.params)
        raise AssertionError(f"nobody answers {request.method} {path}")

    def of_collection(self, method, name, rest, body, params):
        if name not in self.collections:
            return error(404, "collection_not_found", f"there is no collection '{name}'")
        match [method, *rest]:
            case ["GET"]:
                return httpx.Response(200, json=self.described(name))
            case ["DELETE"]:
                del self.collections[name]
                return httpx.Response(204)
            case ["GET", "items"]:
                return self.page(name, params)
            case ["PUT" | "DELETE", "indexes", _]:
                return httpx.Response(204)
            case ["POST", *action]:
                return self.acted(name, action, body)
        raise AssertionError(f"nobody answers {method} {name} {rest}")

    def acted(self, name, action, body):
        match action:
            case ["items"]:
                return self.upsert(name, body["items"])
            case ["items", "delete"]:
                return self.delete_items(name, body)
            case ["count"]:
                return httpx.Response(200, json={"count": len(self.matching(name, body))})
            case ["search"]:
                return self.search(name, body)
            case ["classify"]:
                return classified(body, sorted(self.labels(name)))
            case ["evaluate"]:
                return httpx.Response(200, json=evaluated(body, sorted(self.labels(name))))
            case ["forget"]:
                return self.forget(name, body)
        raise AssertionError(f"nobody answers POST {name} {action}")

    def train(self, body):
        examples = body.get("input") or self.collections[body["collection"]]["items"].values()
        known = self.classifiers.setdefault(
            "0a",
            {
                "classifier_id": "0a",
                "error": None,
                "model_name": "m",
                "method": "",
                "metadata": {},
                "num_samples": 0,
                "labels": [],
            },
        )
        known["num_samples"] += len(examples)
        known["labels"] = sorted({*known["labels"], *(example["label"] for example in examples)})
        known["state"] = self.trained_state
        known["refinement"] = self.refinement
        return httpx.Response(200, json=known)

    def embed(self, body):
        if body["model"] != "m":
            return error(404, "model_not_found", f"there is no encoder '{body['model']}'")
        if {"text": self.broken_at} in body["input"]:
            raise httpx.ConnectError("refused")
        rows = [embedded(index, one) for index, one in enumerate(body["input"])]
        if all("error" in row for row in rows):
            return error(400, "invalid_image", rows[0]["error"]["message"], param="image[0]")
        usage = {"prompt_tokens": 3 * len(rows), "total_tokens": 3 * len(rows)}
        return httpx.Response(200, json={"data": rows, "model": "m", "usage": usage})

    def described(self, name):
        collection = self.collections[name]
        return {
            "name": name,
            "encoder": collection["encoder"],
            "fingerprint": "ab12",
            "dimension": DIMENSION,
            "created_at": "2025-01-02T03:04:05Z",
            "state": "ready",
            "error": None,
            "items": len(collection["items"]),
            "labels": self.labels(name),
        }

    def labels(self, name):
        labels = [item["label"] for item in self.collections[name]["items"].values() if item.get("label")]
        return {label: labels.count(label) for label in labels}

    def page(self, name, params):
        after = int(params.get("after", 0))
        items = sorted(self.collections[name]["items"].values(), key=lambda item: item["sequence"])
        page = [item for item in items if item["sequence"] > after][:3]
        last = page[-1]["sequence"] if page else after
        more = any(item["sequence"] > last for item in items)
        return httpx.Response(200, json={"data": page, "next": last if more else None})

    def upsert(self, name, items):
        if len(items) > self.max_items:
            return error(413, "limit_exceeded", f"more than {self.max_items} items")
        for position, item in enumerate(items):
            if base64.b64decode(item["image"]) == UNREADABLE:
                return error(
                    400, "invalid_image", f"items[{position}]: cannot be decoded", param=f"items[{position}].image"
                )
        for item in items:
            self.sequence += 1
            kept = {"id": item["id"], "label": item.get("label"), "payload": item.get("payload")}
            self.collections[name]["items"][item["id"]] = kept | {"sequence": self.sequence}
        return httpx.Response(200, json={"upserted": len(items), "sequence": self.sequence})

    def matching(self, name, body):
        """The ids that a filter of the form {"$label": ...} admits."""
        items = self.collections[name]["items"]
        wanted = (body.get("filter") or {}).get("$label")
        return [item_id for item_id, item in items.items() if wanted in (None, item.get("label"))]

    def delete_items(self, name, body):
        ids = self.matching(name, body)
        for item_id in ids:
            del self.collections[name]["items"][item_id]
        return httpx.Response(200, json={"deleted": len(ids)})

    def forget(self, name, body):
        label = body["label"]
        ids = self.matching(name, {"filter": {"$label": label}})
        for item_id in ids:
            del self.collections[name]["items"][item_id]
        counts = {"classes": {label: len(ids)}, "remaining": {label: 0}}
        classifiers = {"stale_classifiers": self.stale, "unreadable_classifiers": self.unreadable}
        return httpx.Response(200, json={"forgotten": len(ids), "ids": ids, "verified": True, **classifiers, **counts})

    def search(self, name, body):
        items = list(self.collections[name]["items"].values())[: body["limit"]]
        hits = [
            {"id": item["id"], "score": 0.9 - 0.125 * rank, "label": item["label"], "payload": item["payload"]}
            for rank, item in enumerate(items)
        ]
        if "group_by" in body:
            groups = [{"value": hit["label"], "results": [hit]} for hit in hits if hit["label"]]
            return httpx.Response(200, json={"groups": groups, "next": None})
        least = body.get("score_threshold", -1)
        found = {"results": [hit for hit in hits if hit["score"] >= least]}
        return httpx.Response(200, content=json.dumps(found))  # not httpx's own JSON, which has no lone surrogates


def embedded(index, one):
    if one.get("image") == base64.b64encode(UNREADABLE).decode():
        failure = {"message": f"input[{index}]: cannot be decoded", "code": "invalid_image"}
        return {"index": index, "embedding": None, "error": failure}
    vector = np.eye(DIMENSION, dtype="<f4")[index % DIMENSION]
    row = {"index": index, "embedding": base64.b64encode(vector.tobytes()).decode()}
    return row | ({"truncated": True} if len(one.get("text", "")) > 40 else {})


def classified(body, labels):
    unreadable = {"image": base64.b64encode(UNREADABLE).decode()}
    if unreadable in body["input"]:
        return error(400, "invalid_image", f"input[{body['input'].index(unreadable)}]: cannot be decoded")
    predictions = [
        {"label": label, "score": 0.75 / 3**rank, "cosine": 0.31 - 0.1 * rank} for rank, label in enumerate(labels)
    ][: body.get("top_k")]
    first = predictions[0]
    rows = [
        {
            "index": index,
            "prediction": first["label"],
            "score": first["score"],
            "predictions": predictions,
            **({"labels": labels[:2]} if "multi_label" in body else {}),
        }
        for index in range(len(body["input"]))
    ]
    return httpx.Response(200, json={"data": rows, "usage": {"total_tokens": 1}})


def evaluated(body, labels):
    figures = {"support": 4, "precision": 0.75, "recall": 0.5, "f1": 0.6}
    return {
        "method": body.get("method", "nearest_mean"),
        "protocol": "held_out" if "held_out" in body else "leave_one_out",
        "items": 4 * len(labels),
        "accuracy": 0.875,
        "macro_f1": 0.6,
        "classes": [{"label": label, **figures} for label in labels],
        "confusion": [[3 if row == column else 0 for column in range(len(labels))] for row in range(len(labels))],
        "calibration": {"error": 0.125, "bins": []},
        "open_set": {"auroc": 0.9375, "unknown_items": 3} if "hold_out_classes" in body else None,
    }


def listed(rows):
    return httpx.Response(200, json={"object": "list", "data": rows})


def error(status, code, message, *, param=None, headers=None):
    body = {"error": {"message": message, "type": "error", "param": param, "code": code}}
    return httpx.Response(status, json=body, headers=headers)
