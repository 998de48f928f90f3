"""Lists whose items fail alone: one that is malformed need not refuse the request."""

from typing import Any

from pydantic import TypeAdapter, ValidationError, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from simila.api.errors import malformed

# Each costs microseconds in the event loop; more than the server takes is refused as a whole, and as before.
MOST_JUDGED_ALONE = 10_000


def own_errors(entry: Any) -> WrapValidator:
    """Put a `Malformed` in the place of each entry of a list that is malformed, where `on_error` is "partial".

    `entry` is the type of one; the field `on_error` comes before the list. Well-formed lists are validated once.
    """
    adapter = TypeAdapter(entry)

    def judged(values: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return validate(values)
        except ValidationError:
            is_partial = info.data.get("on_error") == "partial"
            if not (is_partial and isinstance(values, list) and 1 < len(values) <= MOST_JUDGED_ALONE):
                raise
        return [_one(adapter, value, (str(info.field_name), position)) for position, value in enumerate(values)]

    return WrapValidator(judged)


def _one(adapter: TypeAdapter[Any], value: Any, place: tuple[str, int]) -> Any:
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        return malformed(error.errors()[0], place)
