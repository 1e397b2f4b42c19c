"""Numbers of those who log on: a trader's is his account; nobody else's can be an account, whoever opens which."""

import json
from pathlib import Path

import pytest

from engine.codes import EventKind, RejectReason
from engine.core.admit_ledger import MAX_ACCOUNTS
from gateway.accounts import NO_ACCOUNT, Accounts, AccountsError
from gateway.wire import messages as m
from gateway.wire.topics import Role
from tests.desk.venue import Venue, reports
from tests.gateway.running import CHEAP


def test_only_traders_have_numbers_that_can_be_accounts(tmp_path: Path) -> None:
    assert NO_ACCOUNT == MAX_ACCOUNTS
    accounts = Accounts.load(tmp_path / "accounts.json", CHEAP)
    for name, role in (("teacher", Role.INSTRUCTOR), ("anna", Role.TRADER), ("guest", Role.OBSERVER),
                       ("risk", Role.DROP_COPY), ("ben", Role.TRADER)):  # fmt: skip
        accounts.add(name, role, "secret")
    accounts.save()
    loaded = {holder.name: holder.number for holder in Accounts.load(tmp_path / "accounts.json", CHEAP)}
    assert loaded == {"anna": 3, "ben": 6, "teacher": NO_ACCOUNT + 2, "guest": NO_ACCOUNT + 4, "risk": NO_ACCOUNT + 5}


@pytest.mark.parametrize(
    ("role", "number"), [("instructor", 2), ("trader", NO_ACCOUNT + 2), ("trader", 3), ("observer", NO_ACCOUNT + 3)]
)
def test_a_number_of_the_wrong_kind_or_that_was_never_given_is_refused(tmp_path: Path, role: str, number: int) -> None:
    path = tmp_path / "accounts.json"
    holder = {"name": "teacher", "role": role, "number": number, "password_hash": ""}
    path.write_text(json.dumps({"next_number": 3, "accounts": [holder]}))
    with pytest.raises(AccountsError, match=rf"teacher.number: got {number}, expected a number of its own from 2"):
        Accounts.load(path, CHEAP)


def test_an_operator_is_told_his_answers_and_no_account_is_his() -> None:
    venue = Venue()
    teacher = venue.enter("teacher", NO_ACCOUNT + 2, Role.INSTRUCTOR)
    (opened,) = reports(teacher.ask(m.OpenAccount(1, 2)))
    (own,) = reports(teacher.ask(m.OpenAccount(2, NO_ACCOUNT + 2)))
    assert (opened.exec_type, opened.ref_seq) == (EventKind.ACCOUNT_OPENED, 1)
    assert (own.exec_type, own.reason) == (EventKind.REJECTED, RejectReason.OUT_OF_RANGE)
    anna = venue.enter("anna", 2)
    anna.ask(m.NewOrderSingle(1, 0, 1, 10, 1000))
    assert teacher.replies() == [], "what account 2 does is told to nobody else"
