"""The contract as an AsyncAPI 3.0 document, for people, for other languages and for the tests of the wire.

    document()                        everything below `gateway/wire/` that a participant must know
    python -m gateway.wire.asyncapi   writes it to `asyncapi.json`, beside this file

Nothing is said here that another file says already: types and bounds are those the decoder uses, topics come from the
table in `topics.py`, descriptions are the docstrings. No I/O but for that one file. Schemas are JSON Schema draft 7, as
AsyncAPI wants them; `format: binary` is MessagePack's bin type, and an integer is never a float or a boolean.
"""

import ast
import functools
import inspect
import itertools
import json
import re
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

import msgspec.inspect
import numpy as np

import engine.records
from engine import codes
from gateway.wire import messages as m
from gateway.wire import reasons, records, topics
from gateway.wire.topics import Principal, Role

Json = dict[str, Any]

CONTENT_TYPE = f"application/vnd.emex.v{records.VERSION}+msgpack"
PATH = Path(__file__).with_suffix(".json")

_OPERATORS = {*get_args(m.OperatorRequest), m.RequestForPositions}
_CARRIES = {
    "in": [kind for kind in get_args(m.Request) if kind not in _OPERATORS],
    "out": [kind for kind in get_args(m.Reply) if kind is not m.TapeRows],
    "copy": [m.ExecutionReport],
    "admin": get_args(m.Request),
    "tape": [m.TapeRows],
    "snapshot": [m.MarketDataSnapshot],
    "update": [m.MarketDataIncremental],
    "status": [m.TradingSessionStatus],
}
"""What travels on each topic, by the topic's last fixed level."""
_CODES_OF = {
    "side": codes.Side, "ord_type": codes.OrdType, "tif": codes.TimeInForce, "mode": codes.TradingMode,
    "phase": codes.Phase, "rule": codes.Rule,
}  # fmt: skip
"""Fields that are always of the same enumeration; of others the docstring names it."""
_ROWS = {
    "REQUEST": records.REQUEST, "RECORD": records.RECORD, "REPORT": records.REPORT, "COMMAND": engine.records.COMMAND,
    "EVENT": engine.records.EVENT, "position_row": records.position_row(1),
}  # fmt: skip


class _Topic(NamedTuple):
    """One line of the table in `topics.py`."""

    key: str
    address: str
    what: str
    who: str

    @property
    def readers(self) -> list[str]:
        """Roles that may subscribe."""
        return [role for role in Role if topics.may_read(Principal("{name}", 0, role), self.address)]

    @property
    def publishers(self) -> list[str]:
        """Roles that may publish."""
        return [role for role in Role if topics.requests(Principal("{name}", 0, role)) == self.address]

    @property
    def single(self) -> bool:
        """Whether a payload is one message by itself, not an array of messages."""
        return set(_CARRIES[self.key]) <= set(get_args(m.MarketData))


def document() -> Json:
    """The whole contract."""
    table = list(_topics())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "emex",
            "version": f"{records.VERSION}",
            "description": "\n\n".join(inspect.cleandoc(m.__doc__ or "").split("\n\n")[:-1]),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"venue": _server()},
        "channels": {topic.key: _channel(topic) for topic in table},
        "operations": {_operation_name(topic): _operation(topic) for topic in table},
        "components": {
            "messages": {topic.key: _payload(topic) for topic in table},
            "schemas": {message.__name__: _message(message) for message in message_types()}
            | {codes_.__name__: _enumeration(codes_) for codes_ in _enumerations()},
            "securitySchemes": {"password": {"type": "userPassword", "description": "Name and password of CONNECT."}},
        },
        "x-limits": {"requests": records.BATCH_LIMIT, "bytes": records.PAYLOAD_LIMIT},
        "x-records": {name: _record(name, row) for name, row in _ROWS.items()},
    }


def message_types() -> list[type[m.Message]]:
    """Every message, requests first; a tag may mean another message in the other direction."""
    return [*get_args(m.Request), *get_args(m.Reply), *get_args(m.MarketData)]


# --------------------------------------------------------------------------------------------------- topics


def _topics() -> Iterator[_Topic]:
    """The lines of the table in `topics.py`."""
    line = rf"^    ({topics.PREFIX}\S+) {{2,}}(.+?) {{2,}}(.+)$"
    for address, what, who in re.findall(line, topics.__doc__ or "", re.MULTILINE):
        levels = address.removeprefix(topics.PREFIX).split("/")
        key = next(level for level in reversed(levels) if level.islower())
        yield _Topic(key, re.sub(r"[A-Z]+", lambda name: "{" + name[0].lower() + "}", address), what, who)


def _server() -> Json:
    return {
        "host": "{host}:{port}",
        "protocol": "mqtt",
        "protocolVersion": "5",
        "description": "`emex serve` or its broker; the same over WebSocket (subprotocol mqtt) where that is opened.",
        "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "1883"}},
        "security": [{"$ref": "#/components/securitySchemes/password"}],
        "bindings": {"mqtt": {"sessionExpiryInterval": 0, "bindingVersion": "0.2.0"}},
    }


def _channel(topic: _Topic) -> Json:
    parameters = {"name": "Whose requests or reports: the name one logs on with.", "symbol": "The instrument."}
    channel: Json = {
        "address": topic.address,
        "title": topic.what,
        "description": topic.who,
        "messages": {topic.key: {"$ref": f"#/components/messages/{topic.key}"}},
    }
    named = re.findall(r"{(\w+)}", topic.address)
    if named:
        channel["parameters"] = {name: {"description": parameters[name]} for name in named}
    return channel


def _operation_name(topic: _Topic) -> str:
    return f"{'receive' if topic.publishers else 'send'}_{topic.key}"


def _operation(topic: _Topic) -> Json:
    """What the venue does there: it receives what others publish, and sends what others read."""
    operation: Json = {
        "action": "receive" if topic.publishers else "send",
        "channel": {"$ref": f"#/channels/{topic.key}"},
        "title": topic.what,
        "messages": [{"$ref": f"#/channels/{topic.key}/messages/{topic.key}"}],
        "bindings": {
            "mqtt": {
                "qos": 1 if topic.publishers else 0,
                "retain": "retained" in topic.what,
                "bindingVersion": "0.2.0",
            }
        },
        "x-roles": topic.publishers or topic.readers,
    }
    if topic.publishers:
        operation["reply"] = {"channel": {"$ref": "#/channels/out"}}
    return operation


def _payload(topic: _Topic) -> Json:
    """What one PUBLISH carries."""
    kinds = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in _CARRIES[topic.key]]
    payload: Json = kinds[0]
    if not topic.single:
        payload = {"type": "array", "items": {"oneOf": kinds}}
        if topic.publishers:
            payload["maxItems"] = records.BATCH_LIMIT
    return {"name": topic.key, "title": topic.what, "contentType": CONTENT_TYPE, "payload": payload}


# -------------------------------------------------------------------------------------------------- messages


def _message(message: type[m.Message]) -> Json:
    """A message as a tuple: its type, then its fields in order; those at the end with a default may be left out."""
    tag = {"title": "type", "const": m.tag_of(message)}
    info = msgspec.inspect.type_info(message)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = [_field(message, field) for field in info.fields]
    return {
        "title": message.__name__,
        "description": _one_line(message.__doc__),
        "type": "array",
        "items": [tag, *fields],
        "additionalItems": False,
        "minItems": 1 + sum(field.required for field in info.fields),
    }


def _field(message: type[m.Message], field: msgspec.inspect.Field) -> Json:
    note = _notes(m).get(f"{message.__name__}.{field.name}")
    schema: Json = {"title": field.name} | _schema(field.type)
    if note:
        schema["description"] = note
    if not field.required:
        schema["default"] = field.default
    enumeration = _enumeration_of(field.name, note)
    if enumeration:
        schema["x-codes"] = enumeration
    if field.name == "version":
        schema = {"title": field.name, "type": "integer", "const": records.VERSION}
    if field.name == "rows":
        schema["x-rows"] = _named(r"(?:engine\.)?records", note or message.__doc__)
    if message is m.PackedRequests and field.name == "rows":
        schema["minLength"] = records.REQUEST.itemsize
    return schema


def _schema(kind: msgspec.inspect.Type) -> Json:
    """One field's type as the decoder checks it."""
    match kind:
        case msgspec.inspect.Metadata():
            return _schema(kind.type) | (kind.extra_json_schema or {})
        case msgspec.inspect.IntType():
            bounds = {"minimum": kind.ge, "maximum": kind.le}
            return {"type": "integer"} | {name: bound for name, bound in bounds.items() if bound is not None}
        case msgspec.inspect.BoolType():
            return {"type": "boolean"}
        case msgspec.inspect.StrType():
            return {"type": "string"}
        case msgspec.inspect.BytesType():
            limit = {"maxLength": kind.max_length} if kind.max_length is not None else {}
            return {"type": "string", "format": "binary"} | limit
        case msgspec.inspect.ListType():
            return {"type": "array", "items": _schema(kind.item_type)}
        case msgspec.inspect.UnionType(types=(value, msgspec.inspect.NoneType())):
            schema = _schema(value)
            return schema | {"type": [schema["type"], "null"]}
    raise TypeError(f"got {kind}, expected a type that the document can describe")


# --------------------------------------------------------------------------------------- enumerations, records


def _enumerations() -> Iterator[type[IntEnum]]:
    for module in (reasons, codes):
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, IntEnum) and thing.__module__ == module.__name__:
                yield thing


def _enumeration(kind: type[IntEnum]) -> Json:
    notes = _notes(inspect.getmodule(kind))
    members = []
    for member in kind:
        note = notes.get(f"{kind.__name__}.{member.name}")
        members.append({"const": int(member), "title": member.name} | ({"description": note} if note else {}))
    return {"title": kind.__name__, "description": _one_line(kind.__doc__), "type": "integer", "oneOf": members}


def _enumeration_of(field: str, note: str | None) -> str | None:
    """Name of the enumeration whose numbers a field holds."""
    if field in _CODES_OF:
        return _CODES_OF[field].__name__
    return _named(r"engine\.codes|reasons", note)


def _named(module: str, text: str | None) -> str | None:
    """The name of that module's that a docstring mentions first."""
    found = re.search(rf"`(?:{module})\.(\w+)`", text or "")
    return found and found[1]


def _record(name: str, row: np.dtype) -> Json:
    """A packed row: little-endian fields at fixed offsets."""
    notes = _notes(engine.records) | _notes(records)
    return {"description": notes[name], "bytes": row.itemsize, "fields": list(_columns(row))}


def _columns(row: np.dtype, begin: int = 0) -> Iterator[Json]:
    fields = row.fields
    assert fields is not None
    for name, (column, offset, *_) in fields.items():
        if column.names:
            yield from _columns(column, begin + offset)
            continue
        described: Json = {"name": name, "offset": begin + offset, "type": column.base.name}
        if column.shape:
            described["shape"] = list(column.shape)
        enumeration = _enumeration_of(name, None)
        yield described | ({"x-codes": enumeration} if enumeration else {})


# ------------------------------------------------------------------------------------------------ docstrings


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


@functools.cache
def _notes(module: ModuleType) -> dict[str, str]:
    """Docstrings of a module's functions, and the literals below its names and its classes' (`NAME`, `Class.name`)."""
    tree = ast.parse(inspect.getsource(module))
    bodies = {"": tree.body} | {f"{node.name}.": node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    notes = {
        node.name: _one_line(ast.get_docstring(node)) for node in tree.body if isinstance(node, ast.FunctionDef)
    }  # fmt: skip
    for prefix, body in bodies.items():
        for node, below in itertools.pairwise(body):
            match node, below:
                case (
                    ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    notes[prefix + name] = _one_line(text)
    return notes


def main() -> None:
    """Write the document beside this file."""
    PATH.write_text(json.dumps(document(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
