"""The published contract as the tests use it: schemas that check unpacked MessagePack, and values drawn from schemas.

Only the document is read here, never the types it was made from: what is drawn is what another language would send.
"""

import functools
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgpack
from hypothesis import strategies as st

from gateway.wire import asyncapi
from gateway.wire.reasons import DoorReason

DOCUMENT = asyncapi.document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
MESSAGES = {message.__name__: message for message in asyncapi.message_types()}
INT64 = 2**63 - 1


def _types(schema: dict[str, Any]) -> list[str]:
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else named


def _check_type(validator: Any, _: Any, instance: Any, schema: dict[str, Any]) -> Iterator[jsonschema.ValidationError]:
    """JSON knows no bytes: `format: binary` wants them, and nothing else takes them."""
    binary = schema.get("format") == "binary"
    if isinstance(instance, bytes):
        fits = binary
    else:
        fits = any(validator.is_type(instance, name) and not (binary and name == "string") for name in _types(schema))
    if not fits:
        yield jsonschema.ValidationError(f"{instance!r} is no {_types(schema)}")


# Draft 4 is the one that does not count 1.0 as an integer.
_CHECKER = jsonschema.Draft4Validator.TYPE_CHECKER.redefine("string", lambda _, value: isinstance(value, str | bytes))
_Validator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"type": _check_type}, type_checker=_CHECKER)


@functools.cache
def validator(section: str, name: str) -> Any:
    """Checks unpacked values against a message's schema (`schemas`), or payloads against a channel's (`messages`)."""
    pointer = f"#/components/{section}/{name}" + ("/payload" if section == "messages" else "")
    return _Validator({"$ref": pointer, "components": DOCUMENT["components"]})


def inside(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a field's schema allows: its bounds, and anything between them."""
    if "const" in schema:
        return st.just(schema["const"])
    drawn = []
    for name in _types(schema):
        if name == "null":
            drawn.append(st.none())
        elif name == "boolean":
            drawn.append(st.booleans())
        elif name == "integer":
            low, high = schema.get("minimum", -INT64 - 1), schema.get("maximum", INT64)
            drawn.append(st.sampled_from((low, high)) | st.integers(low, high))
        elif name == "array":
            drawn.append(st.lists(inside(schema["items"]), max_size=4))
        elif schema.get("format") == "binary":
            drawn.append(_rows(DOCUMENT["x-records"][schema["x-rows"]]["bytes"]))
        else:
            drawn.append(st.text(max_size=20))
    return st.one_of(drawn)


def _rows(size: int) -> st.SearchStrategy[bytes]:
    """A few packed rows whose first number, which is one of a request, is not 0."""
    row = st.binary(min_size=size - 1, max_size=size - 1).map(lambda tail: b"\x01" + tail)
    return st.lists(row, min_size=1, max_size=3).map(b"".join)


def messages(name: str) -> st.SearchStrategy[list[Any]]:
    """A message of that type as an array, any number of its optional fields left out."""
    schema = SCHEMAS[name]
    whole = st.tuples(*map(inside, schema["items"]))
    return st.builds(lambda values, length: list(values[:length]), whole,
                     st.integers(schema["minItems"], len(schema["items"])))  # fmt: skip


def smallest(name: str, length: int) -> list[Any]:
    """The first `length` elements of a message, each the least that its schema allows."""
    return [_least(schema) for schema in SCHEMAS[name]["items"][:length]]


def _least(schema: dict[str, Any]) -> Any:
    if schema.get("format") == "binary":
        return (b"\x01" + bytes(schema.get("minLength", 1)))[: schema.get("minLength", 0)]
    least = {"boolean": False, "array": [], "string": "", "integer": schema.get("minimum", 0)}
    return schema["const"] if "const" in schema else least[_types(schema)[0]]


_OTHER_TYPES: tuple[Any, ...] = (
    1, True, 1.0, 1.5, float("nan"), float("inf"), "1", b"1", [], [1], {}, {1: 1}, msgpack.ExtType(5, b"1"), None,
)  # fmt: skip
_OWN = {"integer": int, "boolean": bool, "null": type(None), "array": list}


def outside(schema: dict[str, Any]) -> Iterator[tuple[Any, DoorReason]]:
    """Values that a field's schema does not allow, each with the reason it must be refused for."""
    own = {_OWN.get(name, bytes if schema.get("format") == "binary" else str) for name in _types(schema)}
    for value in _OTHER_TYPES:
        if type(value) not in own:
            yield value, DoorReason.BAD_TYPE
    if "minLength" in schema:
        yield b"", DoorReason.OUT_OF_RANGE
    if "integer" in _types(schema):
        low = schema.get("const", schema.get("minimum"))
        high = schema.get("const", schema.get("maximum"))
        for value in (low - 1, high + 1, -(2**63), 2**63, 2**64 - 1):
            yield value, DoorReason.OUT_OF_RANGE
