"""Messages as the gateway's own types draw them, and what a REQUEST row says in a message's words."""

from typing import Any

import msgspec.inspect as types
import numpy as np
from hypothesis import strategies as st

from engine.codes import NONE
from gateway.wire import messages as m
from gateway.wire.records import REQUEST, VERSION

INT64 = 2**63 - 1
FORMS = ("least", "full", "any")
"""Only what a message needs; every field there; absent fields anywhere."""


def _values(kind: types.Type, *, absent: bool) -> st.SearchStrategy[Any]:
    match kind:
        case types.Metadata():
            return _values(kind.type, absent=absent)
        case types.UnionType(types=(value, types.NoneType())):
            return _values(value, absent=absent) | st.none() if absent else _values(value, absent=absent)
        case types.IntType():
            low = -INT64 - 1 if kind.ge is None else kind.ge
            high = INT64 if kind.le is None else kind.le
            return st.sampled_from((low, high)) | st.integers(low, high)
        case types.BoolType():
            return st.booleans()
        case types.StrType():
            return st.text(max_size=20)
        case types.BytesType():
            return st.binary(min_size=REQUEST.itemsize, max_size=300)
        case types.ListType():
            return st.lists(_values(kind.item_type, absent=absent), max_size=4)
    raise AssertionError(kind)


def instances(kind: type[m.Message], form: str) -> st.SearchStrategy[m.Message]:
    """Messages of one type in one of the `FORMS`."""
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    fields = [field for field in info.fields if field.required or form != "least"]
    drawn = [st.just(VERSION) if field.name == "version" else _values(field.type, absent=form == "any")
             for field in fields]  # fmt: skip
    return st.builds(kind, *drawn)


def asked(row: np.void, kind: type[m.Message]) -> list[int | None]:
    """The fields of a message as a REQUEST row has them; what is absent is None."""
    values = [int(row[name]) if name in (REQUEST.names or ()) else int(row["command"][name])
              for name in m.fields_of(kind)]  # fmt: skip
    return [None if value == NONE else value for value in values]
