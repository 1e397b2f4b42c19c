"""The published contract and the gateway say the same: document against bytes, and bytes against document.

Packing and unpacking is done by the `msgpack` package, checking by `jsonschema`: neither knows the gateway's types.
"""

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import codes
from engine.codes import CommandKind, OrdType, Phase, Side
from gateway.wire import asyncapi, codec, topics
from gateway.wire import messages as m
from gateway.wire.codec import WireError
from gateway.wire.reasons import DoorReason
from gateway.wire.records import REPORT, empty_requests
from gateway.wire.topics import Principal, Role
from tests.desk.venue import Person, venue_with
from tests.wire import contract
from tests.wire.contract import DOCUMENT, MESSAGES, SCHEMAS
from tests.wire.samples import FORMS, asked, instances

FEWER = settings(max_examples=settings.default.max_examples // 4)
"""Of each of nearly fifty messages."""
SPECIFICATION = "@asyncapi/specs@6.11.1"
REQUESTS = [kind.__name__ for kind in get_args(m.Request)]
REPLIES = [kind.__name__ for kind in get_args(m.Reply)]
PUBLIC = [kind.__name__ for kind in get_args(m.MarketData)]


CHANNELS = {
    name: [key for key, message in DOCUMENT["components"]["messages"].items()
           if f'"#/components/schemas/{name}"' in json.dumps(message["payload"])]
    for name in MESSAGES
}  # fmt: skip
"""Which channels of the document carry a message."""


# ---------------------------------------------------------------------------------------------- the document


def test_the_document_in_the_repository_is_the_one_that_the_code_says() -> None:
    written = json.loads(asyncapi.PATH.read_text(encoding="utf-8"))
    assert written == DOCUMENT, "run: python -m gateway.wire.asyncapi"


def test_the_module_writes_its_file_when_run_and_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncapi.PATH.read_bytes()
    monkeypatch.setattr(asyncapi, "PATH", tmp_path / "asyncapi.json")
    asyncapi.document()
    assert not asyncapi.PATH.exists()
    asyncapi.main()
    assert asyncapi.PATH.read_bytes() == before


@pytest.fixture(scope="module")
def official_schema(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The AsyncAPI initiative's own schema of version 3.0.0, from npm; kept in pytest's cache."""
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir("asyncapi-" + re.sub(r"\W+", "-", SPECIFICATION)) / "3.0.0.json"
    if not kept.exists():
        folder = tmp_path_factory.mktemp("npm")
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("there is no npm here to fetch the official AsyncAPI schema with")
        pack = [npm, "pack", "--silent", SPECIFICATION]
        fetched = subprocess.run(pack, cwd=folder, capture_output=True, text=True, check=False)
        if fetched.returncode != 0:
            pytest.skip(f"npm cannot fetch {SPECIFICATION}: {fetched.stderr.strip()[:200]}")
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as package:
            member = package.extractfile("package/schemas/3.0.0.json")
            assert member is not None
            (folder / "schema").write_bytes(member.read())
        # Several workers may come here at once: each puts a whole file in place.
        part = kept.with_name(f"{os.getpid()}.part")
        shutil.copy(folder / "schema", part)
        part.replace(kept)
    return json.loads(kept.read_text(encoding="utf-8"))


def test_the_document_is_valid_by_the_official_schema(official_schema: Any) -> None:
    errors = jsonschema.Draft7Validator(official_schema).iter_errors(DOCUMENT)
    assert [error.message[:300] for error in errors] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.6.0"),
        (("channels", "in", "address"), 5),
        (("operations", "receive_in", "action"), "push"),
        (("operations", "send_out", "bindings", "mqtt", "qos"), 3),
        (("components", "schemas", "Click", "items", 1, "minimum"), "one"),
        (("components", "messages", "in", "contentTypes"), "x"),
    ],
)
def test_the_official_schema_notices_a_broken_document(
    official_schema: Any, path: tuple[str | int, ...], value: Any
) -> None:
    broken = json.loads(json.dumps(DOCUMENT))
    place = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not jsonschema.Draft7Validator(official_schema).is_valid(broken)


def test_every_reference_inside_the_document_leads_somewhere() -> None:
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT))
    assert len(references) > len(MESSAGES)
    for reference in references:
        place: Any = DOCUMENT
        for step in reference.split("/"):
            place = place[step]
        assert place


def test_every_message_is_described_and_every_field_has_its_name_in_order() -> None:
    described = [thing for thing in vars(m).values() if isinstance(thing, type) and issubclass(thing, m.Message)]
    assert {kind.__name__ for kind in described} - {"Message"} == set(MESSAGES)
    for name, kind in MESSAGES.items():
        schema = SCHEMAS[name]
        assert schema["description"]
        assert [field["title"] for field in schema["items"]] == ["type", *m.fields_of(kind)]
        assert schema["minItems"] == len(schema["items"]) - len(kind.__struct_defaults__)


def test_docstrings_below_fields_and_codes_reach_the_document() -> None:
    fields = {field["title"]: field for field in SCHEMAS["LogonReply"]["items"]}
    assert fields["epoch"]["description"] == "When this run of the venue began; reports and numbers outlive it."
    assert fields["time_ns"]["description"] == "ns since the epoch"
    sides = {side["title"]: side["const"] for side in SCHEMAS["Side"]["oneOf"]}
    assert sides == {"BUY": 1, "SELL": 2}
    assert "买卖方向" in SCHEMAS["Side"]["description"]
    reasons = {member["title"]: member for member in SCHEMAS["DoorReason"]["oneOf"]}
    too_large = reasons["TOO_LARGE"]
    assert (too_large["const"], too_large["description"]) == (2020, "More than 16 KiB in one payload.")
    assert {name for name in reasons if "description" not in reasons[name]} == set()


def test_every_enumeration_that_a_field_or_a_row_names_is_in_the_document() -> None:
    named = set(re.findall(r'"x-codes": "(\w+)"', json.dumps(DOCUMENT)))
    assert named >= {"Side", "OrdType", "TimeInForce", "TradingMode", "Phase", "Rule"}
    assert named >= {"OrderCondition", "EventKind", "RejectReason", "DoorReason"}
    for name in named:
        numbers = {member["title"]: member["const"] for member in SCHEMAS[name]["oneOf"]}
        assert numbers == {member.name: int(member) for member in getattr(codes, name, DoorReason)}


def test_rows_are_described_byte_by_byte() -> None:
    for name in ("REQUEST", "RECORD", "REPORT", "COMMAND", "EVENT"):
        row = DOCUMENT["x-records"][name]
        at = 0
        for field in row["fields"]:
            assert field["offset"] == at, (name, field)
            at += np.dtype(field["type"]).itemsize
        assert row["description"]
        assert 0 <= row["bytes"] - at <= (2 if name == "REPORT" else 0)


# ------------------------------------------------------------------------------------- bytes against document


@pytest.mark.parametrize("name", MESSAGES)
@FEWER
@given(data=st.data())
def test_what_the_gateway_encodes_fits_the_document(name: str, data: st.DataObject) -> None:
    for form in FORMS:
        message = data.draw(instances(MESSAGES[name], form), form)
        alone = msgpack.unpackb(codec.encode_one(message))
        contract.validator("schemas", name).validate(alone)
        for channel in CHANNELS[name]:
            payload = alone if name in PUBLIC else msgpack.unpackb(codec.encode([message]))
            contract.validator("messages", channel).validate(payload)


def test_every_message_travels_on_some_channel_and_each_direction_has_its_own() -> None:
    receives = {name for name, channels in CHANNELS.items() if {"in", "admin"} & set(channels)}
    sends = {name for name, channels in CHANNELS.items() if set(channels) - {"in", "admin"}}
    assert receives == set(REQUESTS)
    assert sends == {*REPLIES, *PUBLIC}


def test_reports_encoded_straight_from_rows_fit_the_document() -> None:
    rows = np.zeros(3, REPORT)
    rows["priv_seq"], rows["contra"], rows["fee_fen"] = [1, 2, 3], -1, 2**62
    for channel in ("out", "copy"):
        contract.validator("messages", channel).validate(msgpack.unpackb(codec.encode_reports(rows)))


# ------------------------------------------------------------------------------------- document against bytes


@pytest.mark.parametrize("name", REQUESTS)
@FEWER
@given(data=st.data())
def test_what_the_document_allows_is_read_with_its_values(name: str, data: st.DataObject) -> None:
    values = data.draw(contract.messages(name))
    contract.validator("schemas", name).validate(values)
    (part,) = codec.decode(msgpack.packb([values]))
    sent = values[1:] + [field.get("default") for field in SCHEMAS[name]["items"][len(values) :]]
    kind = MESSAGES[name]
    if name == "PackedRequests":
        assert isinstance(part, np.ndarray)
        assert part.tobytes() == sent[1]
    elif isinstance(part, np.ndarray):
        assert asked(part[0], kind) == [None if value == -1 else value for value in sent]
        assert part["command"]["kind"][0] == codec.KINDS[kind]
    else:
        assert msgspec.structs.astuple(part) == tuple(sent)


@pytest.mark.parametrize("name", [*REPLIES, *PUBLIC])
@FEWER
@given(data=st.data())
def test_what_the_document_lets_the_gateway_send_is_read_with_its_values(name: str, data: st.DataObject) -> None:
    values = data.draw(contract.messages(name))
    if name in PUBLIC:
        read: m.Message = codec.decode_data(msgpack.packb(values))
    else:
        (read,) = codec.decode_replies(msgpack.packb([values]))
    assert isinstance(read, MESSAGES[name])
    sent = values[1:] + [field["default"] for field in SCHEMAS[name]["items"][len(values) :]]
    assert msgspec.structs.astuple(read) == tuple(sent)


def refused(*messages: Any) -> DoorReason:
    """Why a payload of these is refused; each is then sure to be refused by the document as well."""
    with pytest.raises(WireError) as caught:
        codec.decode(msgpack.packb(list(messages)))
    assert len(caught.value.text) <= 250
    return caught.value.reason


FIELDS = [(name, at) for name in REQUESTS for at in range(1, len(SCHEMAS[name]["items"]))]


@pytest.mark.parametrize(
    ("name", "at"), FIELDS, ids=[f"{name}.{SCHEMAS[name]['items'][at]['title']}" for name, at in FIELDS]
)
def test_a_value_outside_a_field_is_refused_with_its_reason(name: str, at: int) -> None:
    check = contract.validator("schemas", name)
    message = contract.smallest(name, max(at + 1, SCHEMAS[name]["minItems"]))
    check.validate(message)
    tried = 0
    for value, reason in contract.outside(SCHEMAS[name]["items"][at]):
        wrong = [*message[:at], value, *message[at + 1 :]]
        assert refused(wrong) == reason, value
        assert refused(["5"], wrong, ["5"]) == reason, value
        assert not check.is_valid(wrong), value
        tried += 1
    assert tried >= 10


def test_every_field_of_every_request_was_tried() -> None:
    assert len(FIELDS) == sum(len(m.fields_of(kind)) for kind in get_args(m.Request))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_message_of_any_other_length_is_refused_with_its_reason(name: str) -> None:
    check = contract.validator("schemas", name)
    schema = SCHEMAS[name]
    whole = contract.smallest(name, len(schema["items"]))
    for length in range(schema["minItems"]):
        assert refused(whole[:length]) == DoorReason.MISSING_FIELD
        assert not check.is_valid(whole[:length])
    for more in (1, 2, 100):
        assert refused([*whole, *[0] * more]) == DoorReason.UNKNOWN_FIELD
        assert not check.is_valid([*whole, *[0] * more])


def test_a_type_that_no_request_has_is_refused_as_unknown() -> None:
    known = {SCHEMAS[name]["items"][0]["const"] for name in REQUESTS}
    tags = {chr(code) for code in range(128)} | {f"U{chr(code)}" for code in range(128)} | {"", "DD", "d", "订单"}
    answers = {SCHEMAS[name]["items"][0]["const"] for name in [*REPLIES, *PUBLIC]}
    assert len((tags | answers) - known) > 200
    check = contract.validator("messages", "admin")
    for tag in (tags | answers) - known:
        assert refused([tag, 1]) == DoorReason.UNKNOWN_TYPE
        assert not check.is_valid([[tag, 1]])


@pytest.mark.parametrize("tag", [5, b"5", None, True, 1.5, ["5"], {"5": 1}, msgpack.ExtType(5, b"5")])
def test_a_type_that_is_no_text_is_refused_as_of_the_wrong_type(tag: Any) -> None:
    assert refused([tag]) == DoorReason.BAD_TYPE
    assert not contract.validator("messages", "admin").is_valid([[tag]])


def test_limits_of_a_payload_are_those_in_the_document() -> None:
    limits = DOCUMENT["x-limits"]
    check = contract.validator("messages", "in")
    codec.decode(msgpack.packb([["5"]] * limits["requests"]))
    check.validate([["5"]] * limits["requests"])
    assert refused(*[["5"]] * (limits["requests"] + 1)) == DoorReason.TOO_MANY_IN_BATCH
    assert not check.is_valid([["5"]] * (limits["requests"] + 1))
    padding = limits["bytes"] - len(msgpack.packb([["UR", 1, b"\1" * 15_000]])) + 15_000
    assert len(msgpack.packb([["UR", 1, b"\1" * padding]])) == limits["bytes"]
    assert refused(["UR", 1, b"\1" * padding]) == DoorReason.BAD_TYPE  # it was read; its rows are not whole
    assert refused(["UR", 1, b"\1" * (padding + 1)]) == DoorReason.TOO_LARGE


# --------------------------------------------------------------------------------------- venue against document


def test_channels_have_the_addresses_that_topics_are_made_of() -> None:
    trader, teacher = Principal("{name}", 2, Role.TRADER), Principal("{name}", 3, Role.INSTRUCTOR)
    assert {key: channel["address"] for key, channel in DOCUMENT["channels"].items()} == {
        "in": topics.requests(trader), "admin": topics.requests(teacher), "out": topics.reports("{name}"),
        "copy": topics.copies("{name}"), "tape": topics.TAPE, "snapshot": topics.snapshot("{symbol}"),
        "update": topics.update("{symbol}"), "status": topics.STATUS,
    }  # fmt: skip
    assert topics.requests(trader) == "emex/1/in/{name}"
    assert topics.snapshot("CEA") == "emex/1/md/CEA/snapshot"


def test_who_may_publish_and_read_what() -> None:
    roles = {name: operation["x-roles"] for name, operation in DOCUMENT["operations"].items()}
    everybody = [role.value for role in Role]
    assert roles == {
        "receive_in": ["trader"], "receive_admin": ["instructor"], "send_out": ["trader", "instructor"],
        "send_copy": ["instructor", "drop_copy"], "send_tape": ["instructor", "drop_copy"],
        "send_snapshot": everybody, "send_update": everybody, "send_status": everybody,
    }  # fmt: skip


@pytest.mark.parametrize(("role", "channel"), [(Role.TRADER, "in"), (Role.INSTRUCTOR, "admin")])
def test_the_desk_lets_each_role_ask_what_its_channel_carries_and_nothing_else(role: Role, channel: str) -> None:
    venue, _ = venue_with("anna")
    person = venue.enter("someone", 9, role)
    rows = empty_requests(1)
    rows["seq"], rows["command"]["kind"] = 1, CommandKind.NEW
    for name in REQUESTS:
        message = contract.smallest(name, SCHEMAS[name]["minItems"])
        if name == "PackedRequests":
            message[2] = rows.tobytes()
        person.send_bytes(msgpack.packb([message]))
        venue.turn()
        rejects = [reply for reply in person.replies() if isinstance(reply, m.BusinessMessageReject)]
        refused_ = DoorReason.NOT_AUTHORISED in [reject.reason for reject in rejects]
        assert refused_ == (channel not in CHANNELS[name]), name
        person.ask(m.Logon())


def channel_of(topic: str) -> str:
    (key,) = [key for key, channel in DOCUMENT["channels"].items()
              if re.fullmatch(re.sub(r"{\w+}", "[^/]+", channel["address"]), topic)]  # fmt: skip
    return key


def test_everything_a_busy_venue_publishes_fits_the_channel_it_is_published_on() -> None:
    venue, (anna, ben) = venue_with("anna", "ben")
    teacher = venue.enter("teacher", 1001, Role.INSTRUCTOR)
    for pattern in ("emex/1/md/#", "emex/1/copy/+", topics.TAPE):
        assert venue.desk.subscribe(teacher.session, pattern)
    published = []

    def listen(*people: Person) -> None:
        venue.turn(1)
        for person in people:
            published.extend(person.sent)
            person.sent.clear()

    teacher.send(m.Deposit(1, 2, 10**9), m.Issue(2, 3, 0, 1000), m.RequestForPositions(1))
    listen(teacher)
    anna.send(m.Logon(1), m.NewOrderSingle(1, 0, Side.BUY, 10, 1000), m.StatusRequest(4), m.TestRequest(2**63 - 1))
    ben.send(m.NewOrderSingle(1, 0, Side.SELL, 4, 1000), m.NewOrderSingle(2, 99, 7, 0, None, OrdType.MARKET))
    ben.send(m.Offer(3, 0, Side.SELL, 5, 1000), m.OrderCancelRequest(4, target_id=5), m.DayRoll(5, 20250102))
    ben.send_bytes(b"\xc1")
    listen(anna, ben, teacher)
    order = m.NewOrderSingle(1, 0, Side.BUY, 10, 1000)
    anna.send(m.NewOrderSingle(1, 0, Side.BUY, 11, 1000), m.ResendRequest(1), order)
    teacher.send(m.SetPhase(3, Phase.CLOSED), m.DayRoll(4, 20260102), m.KillSwitch(5, 2, 1), m.ResendRequest(2**62))
    listen(anna, ben, teacher)

    seen: dict[str, set[str]] = {}
    tags = {kind: SCHEMAS[kind]["items"][0]["const"] for kind in [*REPLIES, *PUBLIC]}
    for output in published:
        channel = channel_of(output.topic)
        payload = msgpack.unpackb(output.payload)
        contract.validator("messages", channel).validate(payload)
        assert output.retain == DOCUMENT["operations"][f"send_{channel}"]["bindings"]["mqtt"]["retain"], output.topic
        sent = {payload[0]} if isinstance(payload[0], str) else {message[0] for message in payload}
        seen.setdefault(channel, set()).update(sent)
    assert set(seen) == {"out", "copy", "tape", "snapshot", "update", "status"}
    assert set().union(*seen.values()) == set(tags.values()) - {tags["SequenceReset"]}
