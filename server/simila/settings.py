"""All settings: `SIMILA_*` variables and `simila.toml`, read here and nowhere else. The command line wins over both."""

import json
import re
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from simila.domain.precision import Precision
from simila.telemetry.logs import LogFormat

DEFAULT_ENCODERS = ("all-minilm-l6-v2", "efficientnet-lite0", "efficientnet-lite2", "simila-lite")


def _split_names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else value.replace(",", " ").split()


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_names)]
"""May be one string: JSON, or names with commas or spaces between them."""


def _check_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        ip_network(network)
    return networks


def _check_each(values: tuple[str, ...], form: re.Pattern[str], wanted: str) -> tuple[str, ...]:
    for value in values:
        if not form.fullmatch(value):
            raise ValueError(f"{value!r} is {wanted}")
    return values


_ORIGIN = re.compile(r"\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^/\s]+")
Origins = Annotated[
    Names, AfterValidator(lambda given: _check_each(given, _ORIGIN, "no origin, such as https://shop.example"))
]
_ADDRESS = re.compile(r"(\[[^]\s]+]|[^:/\s]+):\d{1,5}")
Addresses = Annotated[Names, AfterValidator(lambda given: _check_each(given, _ADDRESS, "not HOST:PORT"))]


Ports = Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], NoDecode, BeforeValidator(_split_names)]


class _Variables(EnvSettingsSource):
    """Variables; one that is to hold JSON and does not is handed on, so that it is told with all else that is wrong."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        with suppress(ValueError):
            return super().decode_complex_value(field_name, field, value)
        return value


class LimitSettings(BaseModel):
    """What one request may ask for, checked before any work is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_body_bytes: int = Field(default=64 * 2**20, gt=0, description="Largest request body.")
    max_decompressed_bytes: int = Field(
        default=256 * 2**20, gt=0, description="Largest request body that came compressed, once it is unpacked."
    )
    max_backup_bytes: int = Field(default=64 * 2**30, gt=0, description="Largest backup to restore.")
    max_json_depth: int = Field(
        default=200, gt=0, le=200, description="Deepest nesting of JSON; the parser itself goes no deeper than 200."
    )
    max_inputs: int = Field(default=2048, gt=0, description="Most inputs in one embedding or classification request.")
    max_items: int = Field(default=2048, gt=0, description="Most items in one upsert.")
    max_vector_items: int = Field(default=32_768, gt=0, description="Most items in one upsert as an Arrow stream.")
    max_image_bytes: int = Field(default=20 * 2**20, gt=0, description="Largest encoded image.")
    max_image_pixels: int = Field(default=50_000_000, gt=0, description="Most pixels an image header may declare.")
    max_text_characters: int = Field(default=100_000, gt=0, description="Longest text, before tokenisation.")
    max_labels: int = Field(default=100_000, gt=0, description="Most labels in one zero-shot request.")
    max_label_characters: int = Field(default=1000, gt=0, description="Longest label or prompt template.")
    max_prompt_characters: int = Field(default=20_000_000, gt=0, description="Longest prompts of a request, together.")
    max_predictions: int = Field(default=100_000, gt=0, description="Most predictions in one answer.")
    max_search_results: int = Field(default=1000, gt=0, description="Largest `limit` of a search.")
    max_paged_results: int = Field(default=10_000, gt=0, description="Most results on all pages of a search.")
    max_searches: int = Field(default=256, gt=0, description="Most searches in one batch.")
    max_payload_bytes: int = Field(default=64 * 2**10, gt=0, description="Largest payload of an item, as JSON.")


class EngineSettings(BaseModel):
    """How batches are made and run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=0, ge=0, description="Threads that run one tower's batches side by side; 0: as tuned.")
    threads: int = Field(default=0, ge=0, description="Threads within one run of ONNX Runtime; 0: as tuned.")
    max_batch_items: int = Field(default=0, ge=0, description="Most rows in one batch; 0: as tuned.")
    max_batch_tokens: int = Field(default=0, ge=0, description="Most padded tokens in one batch of texts; 0: as tuned.")
    precision: Literal["batched", "exact"] = Field(
        default="batched",
        description="exact: each input runs alone, so that no neighbour changes a bit of its vector;"
        " short texts take a quarter longer.",
    )
    max_queue_seconds: float = Field(default=5.0, gt=0, description="Refuse requests that would wait longer than this.")
    preprocess_threads: int = Field(
        default=0, ge=0, description="Threads that decode and tokenise; 0: as tuned, else one a physical core."
    )
    cache_bytes: int = Field(
        default=0, ge=0, description="Memory for vectors of inputs seen before, of all encoders together; 0: none kept."
    )
    cached_labels: int = Field(default=10_000, ge=0, description="Label vectors kept for zero-shot classification.")
    label_set_cache_bytes: int = Field(
        default=512 * 2**20,
        ge=0,
        description="Memory for the vectors of whole label sets, which are then not embedded again.",
    )


class TritonSettings(BaseModel):
    """Triton Inference Servers that run the encoders where `SIMILA_DEVICE=triton`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    addresses: Addresses = Field(
        default=(), description="HOST:PORT of each server's gRPC, separated by commas or spaces, or as a JSON list."
    )
    tls: bool = Field(default=False, description="Speak TLS with them.")
    shared_memory: bool = Field(
        default=True, description="Hand tensors over in shared memory where a server sees this host's."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, description="A server that takes longer for a batch counts as down until it answers again."
    )


class IndexSettings(BaseModel):
    """How collections are searched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_bytes: int = Field(
        default=0, ge=0, description="Memory for the index of one collection; 0: what the fastest kind takes."
    )


class FetchSettings(BaseModel):
    """Images that requests name by URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=False, description="Fetch images that requests name by URL, from public addresses.")
    allowed_hosts: Names = Field(
        default=(), description="Only from these hosts, `.example.org` for all below it; empty: from any."
    )
    denied_hosts: Names = Field(default=(), description="Never from these hosts; they go before the allowed ones.")
    allowed_networks: Annotated[Names, AfterValidator(_check_networks)] = Field(
        default=(),
        description="Networks that are not public and may be fetched from all the same, such as `10.1.0.0/16`.",
    )
    ports: Ports = Field(default=(80, 443), description="Ports to fetch from.")
    max_images: int = Field(default=256, gt=0, description="Most images by URL in one request.")
    max_redirects: int = Field(default=3, ge=0, description="Most redirects to follow for one image.")
    timeout_seconds: float = Field(default=10.0, gt=0, description="Longest that one image may take.")


class Settings(BaseSettings):
    """Settings of the server and of the command line."""

    model_config = SettingsConfigDict(
        env_prefix="SIMILA_",
        env_nested_delimiter="__",
        toml_file="simila.toml",
        frozen=True,
        extra="forbid",
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    grpc_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of the Open Inference Protocol over gRPC; needs `pip install 'simila[grpc]'`.",
    )
    insecure: bool = Field(
        default=False, description="Allow an address other than loopback although nothing checks who calls."
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Names that a proxy on this machine gives as `Host`; a server on loopback refuses unknown ones.",
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("simila", appauthor=False),
        description="Folder of weights, exported models and collections.",
    )
    encoders: Names = Field(
        default=DEFAULT_ENCODERS,
        description="Encoders to export and to serve, separated by commas or spaces, or as a JSON list.",
    )
    precisions: dict[str, Precision] = Field(
        default={},
        description="Precision of an encoder, or of one tower, that is not served as its manifest says, such as"
        ' `{"all-minilm-l6-v2": "int8-dynamic", "simila-lite.text": "fp16"}`; see docs/precision.md.',
    )
    device: str = Field(
        default="auto",
        description="What encoders run on: `auto`, `cpu`, `cuda`, `tensorrt` or another of docs/devices.md,"
        " with `:NUMBER` for one device of several.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="File of the TLS certificate and those that sign it, as PEM; HTTP and gRPC then speak TLS.",
    )
    tls_key: Path | None = Field(default=None, description="File of the certificate's private key, as PEM.")
    cors_origins: Origins = Field(
        default=(), description="Origins such as `https://shop.example` whose pages may call this server."
    )
    audit: bool = Field(
        default=True, description="Note changes, and what needs a key for administrators, in `DATA/audit.jsonl`."
    )
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="Least severe level logged."
    )
    log_format: LogFormat = Field(default="text", description="`text`, or `json`: one object a line.")
    log_requests: float = Field(
        default=0, ge=0, le=1, description="Share of requests of which a line is logged; those with 5xx always are."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern="^https?://",
        description="Where traces go as OTLP over HTTP, such as `http://localhost:4318/v1/traces`;"
        " needs `pip install 'simila[otel]'`.",
    )
    shutdown_seconds: float = Field(
        default=25, ge=0, description="How long what was taken on may go on once the server is told to stop."
    )
    request_timeout_seconds: float = Field(
        default=60, gt=0, description="Longest that a request may take; the header X-Request-Timeout goes before it."
    )
    limits: LimitSettings = Field(default_factory=LimitSettings, description="What one request may ask for.")
    engine: EngineSettings = Field(default_factory=EngineSettings, description="How batches are made and run.")
    triton: TritonSettings = Field(default_factory=TritonSettings, description="Servers that run the encoders.")
    index: IndexSettings = Field(default_factory=IndexSettings, description="How collections are searched.")
    fetch: FetchSettings = Field(default_factory=FetchSettings, description="Images that requests name by URL.")

    @field_validator("precisions", "limits", "engine", "triton", "index", "fetch", mode="before")
    @classmethod
    def _is_json(cls, given: Any) -> Any:
        return json.loads(given) if isinstance(given, str) else given

    @field_validator("tls_key")  # of one field, because one of the model says nothing where another field is wrong
    @classmethod
    def _goes_with_a_certificate(cls, tls_key: Path | None, others: ValidationInfo) -> Path | None:
        if (others.data.get("tls_certificate") is None) != (tls_key is None):
            raise ValueError("goes with tls_certificate, both or neither (SIMILA_TLS_CERTIFICATE, SIMILA_TLS_KEY)")
        return tls_key

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Variables(settings_cls), TomlConfigSettingsSource(settings_cls)

    @property
    def url(self) -> str:
        """The address to listen on as a URL, in which one of IPv6 stands in brackets (RFC 3986, section 3.2.2)."""
        return f"{'https' if self.tls_certificate else 'http'}://{self._bracketed_host}:{self.port}"

    @property
    def grpc_address(self) -> str | None:
        return f"{self._bracketed_host}:{self.grpc_port}" if self.grpc_port else None

    @property
    def _bracketed_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"

    @property
    def keys_path(self) -> Path:
        return self.data_dir / "keys.sqlite3"

    @property
    def audit_path(self) -> Path:
        return self.data_dir / "audit.jsonl"

    @property
    def aliases_path(self) -> Path:
        return self.data_dir / "aliases.json"

    @property
    def manifests_dir(self) -> Path:
        return self.data_dir / "manifests"

    @property
    def collections_dir(self) -> Path:
        return self.data_dir / "collections"

    @property
    def classifiers_dir(self) -> Path:
        return self.data_dir / "classifiers"
