"""Where the weights lie that OpenCLIP and timm know by a name of their own."""

from importlib import import_module

from simila.domain.errors import InvalidManifest, ModelError


def hub_repository(library: str, name: str) -> str:
    """The hub's repository of `open_clip:ARCH/TAG` or `timm:NAME`: `ORG/NAME`.

    Raises:
        InvalidManifest: the library does not know the name, or its weights are not on the hub.
        ModelError: the library is not installed.

    """
    try:
        zoo = import_module(library)
    except ModuleNotFoundError as error:
        message = f"{library}:{name} needs {error.name}, which is not installed"
        raise ModelError(f"{message}: pip install 'simila[cpu,export,{library}]'") from error
    if library == "timm":
        try:
            repository = zoo.get_pretrained_cfg(name, allow_unregistered=False).hf_hub_id
        except RuntimeError:  # so it says that it has never heard of it
            repository = None
    else:
        architecture, _, tag = name.partition("/")
        repository = (zoo.get_pretrained_cfg(architecture, tag) or {}).get("hf_hub")
    if not repository:
        raise InvalidManifest(f"{library} knows no weights on the hub called '{name}'")
    # Behind the repository OpenCLIP may name a file, of pickles; what is read is for `wanted` to say.
    return "/".join(str(repository).split("/")[:2])
