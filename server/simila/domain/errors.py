"""The tree of everything that can go wrong.

SimilaError
├── InvalidInput               malformed: the caller must change the request
│   ├── Malformed              one item of several is not of the schema's shape
│   ├── InvalidImage
│   ├── InvalidJson            nested too deep
│   ├── InvalidVector
│   ├── DuplicateId
│   ├── InvalidLabels
│   ├── InvalidBackup
│   ├── UnknownHost
│   └── UrlRefused             where it leads, nothing is fetched from
├── LimitExceeded              over a byte, pixel or item limit
├── CannotServe                well-formed, but this encoder or collection has no answer
│   ├── UnsupportedModality
│   ├── TextTooLong
│   ├── NoExamples
│   ├── ImageUnavailable       nothing that is an image comes from its URL
│   └── LoadFailed             of an encoder that was to be served
├── NotFound
│   ├── UnknownEncoder
│   ├── UnknownCollection
│   ├── UnknownItem
│   ├── UnknownClassifier
│   └── UnknownKey
├── Unauthorized               the caller sends no API key that holds
├── Forbidden                  the key does not allow it
├── Conflict
│   ├── FingerprintMismatch
│   └── StaleClassifier
├── NotReady                   try again later
│   ├── ShuttingDown           the server was told to stop
│   ├── EncoderUnloaded
│   ├── CollectionUnavailable
│   ├── ClassifierUnavailable
│   └── InferenceServerDown    the server that runs the encoder cannot be reached, or is not ready
├── Overloaded                 more work waits than the server takes on
│   └── AllowanceSpent         the key has used what it may for now
├── DeadlineExceeded           not done in the time that the caller or the settings allow
├── ModelError                 an encoder cannot be fetched, exported or trusted
│   ├── FetchFailed
│   ├── HashMismatch
│   ├── NotExported
│   ├── InvalidManifest
│   └── ParityFailed
├── DeviceUnavailable          the settings ask for a device that is not there
├── InvalidConfiguration       several things are wrong with the settings
├── PackageMissing             a setting needs a package that is not installed
├── StorageFailed              SQLite or the disk refused a write: nothing of it was kept
└── DataFolderError            the data folder cannot be used

`code` is stable and for programs, the message is for people, `param` names the part of the request that is at fault.
"""

from typing import ClassVar

MOST_QUOTED_CHARACTERS = 80


class SimilaError(Exception):
    """Base of all errors that Simila raises on purpose."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidInput(SimilaError):
    code = "invalid_input"


class Malformed(InvalidInput):
    code = "invalid_request"


class InvalidImage(InvalidInput):
    code = "invalid_image"


class InvalidJson(InvalidInput):
    code = "invalid_json"


class InvalidVector(InvalidInput):
    code = "invalid_vector"


class DuplicateId(InvalidInput):
    code = "duplicate_id"


class InvalidLabels(InvalidInput):
    code = "invalid_labels"


class InvalidBackup(InvalidInput):
    code = "invalid_backup"


class UnknownHost(InvalidInput):
    code = "unknown_host"


class UrlRefused(InvalidInput):
    code = "url_refused"


class LimitExceeded(SimilaError):
    code = "limit_exceeded"


class CannotServe(SimilaError):
    code = "cannot_serve"


class UnsupportedModality(CannotServe):
    code = "unsupported_modality"


class TextTooLong(CannotServe):
    code = "context_length_exceeded"


class NoExamples(CannotServe):
    code = "no_labelled_items"


class ImageUnavailable(CannotServe):
    code = "image_unavailable"


class LoadFailed(CannotServe):
    code = "load_failed"


class NotFound(SimilaError):
    code = "not_found"


class UnknownEncoder(NotFound):
    code = "model_not_found"


class UnknownCollection(NotFound):
    code = "collection_not_found"


class UnknownItem(NotFound):
    code = "item_not_found"


class UnknownClassifier(NotFound):
    code = "classifier_not_found"


class UnknownKey(NotFound):
    code = "unknown_key"


class Unauthorized(SimilaError):
    code = "invalid_api_key"


class Forbidden(SimilaError):
    code = "forbidden"


class Conflict(SimilaError):
    code = "conflict"


class FingerprintMismatch(Conflict):
    code = "fingerprint_mismatch"


class StaleClassifier(Conflict):
    code = "classifier_stale"


class NotReady(SimilaError):
    code = "not_ready"


class ShuttingDown(NotReady):
    code = "shutting_down"


class EncoderUnloaded(NotReady):
    code = "model_unloaded"


class CollectionUnavailable(NotReady):
    """`cause` is what is wrong with the file, without its name and without advice."""

    code = "collection_unavailable"

    def __init__(self, message: str, *, cause: str | None = None, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.cause = cause or message


class ClassifierUnavailable(NotReady):
    code = "classifier_unavailable"


class InferenceServerDown(NotReady):
    code = "inference_server_down"


class Overloaded(SimilaError):
    """`retry_after_seconds` is when the work that waits now should be done."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_seconds: float = 1.0, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.retry_after_seconds = retry_after_seconds


class AllowanceSpent(Overloaded):
    code = "rate_limit_exceeded"


class DeadlineExceeded(SimilaError):
    code = "deadline_exceeded"


class ModelError(SimilaError):
    code = "model_error"


class FetchFailed(ModelError):
    code = "fetch_failed"


class HashMismatch(ModelError):
    code = "hash_mismatch"


class NotExported(ModelError):
    code = "not_exported"


class InvalidManifest(ModelError):
    code = "invalid_manifest"


class ParityFailed(ModelError):
    code = "parity_failed"


class DeviceUnavailable(SimilaError):
    code = "device_unavailable"


class PackageMissing(SimilaError):
    code = "package_missing"


class StorageFailed(SimilaError):
    code = "storage_failed"


class InvalidConfiguration(SimilaError):
    """Several things are wrong with the settings at once."""

    code = "invalid_configuration"


class DataFolderError(SimilaError):
    code = "data_folder_error"


# These belong to the moment or to the request that met them: another try with the same input may fare better.
PASSING_ERRORS = (Overloaded, NotReady, DeadlineExceeded)


def quoted(text: str) -> str:
    """A caller's own words for a message: in quotes, and not at any length."""
    return f"'{text}'" if len(text) <= MOST_QUOTED_CHARACTERS else f"'{text[:MOST_QUOTED_CHARACTERS]}…'"
