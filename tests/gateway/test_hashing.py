"""The process that finds out whether a password fits: its answers, and that it ends when the venue does."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import argon2
import pytest

from gateway.accounts import PROFILE
from gateway.hashing import Hashing
from tests.gateway.running import CHEAP

STORED = argon2.PasswordHasher.from_parameters(CHEAP).hash("secret")


@pytest.fixture
def hashing() -> Iterator[Hashing]:
    one = Hashing()
    yield one
    one.close()


def pid_of(hashing: Hashing) -> int:
    assert hashing._process is not None
    return hashing._process.pid


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_answers_as_often_as_it_is_asked_whatever_the_bytes(hashing: Hashing) -> None:
    for _ in range(2):
        assert hashing.fits(STORED, b"secret")
        for wrong in (b"", b"secret\n", b"\0", b"\xff\xfe", b"x" * 20_000, b'"'):
            assert not hashing.fits(STORED, wrong)
        assert not hashing.fits("no\nhash", b"secret")


def test_hashes_made_in_several_lanes_still_fit(hashing: Hashing) -> None:
    lanes = argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)
    assert hashing.fits(lanes.hash("secret"), b"secret")
    assert PROFILE.parallelism == 1


def test_one_that_died_is_replaced(hashing: Hashing) -> None:
    assert hashing.fits(STORED, b"secret")
    before = pid_of(hashing)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: not is_alive(before))
    assert hashing.fits(STORED, b"secret")
    assert pid_of(hashing) != before


def test_who_waits_when_it_ends_hears_that_it_does_not_fit(hashing: Hashing) -> None:
    stored = STORED.replace("m=8,t=1", "m=65536,t=2000")  # minutes
    assert hashing.fits(STORED, b"secret")
    heard: list[bool] = []
    waiting = threading.Thread(target=lambda: heard.append(hashing.fits(stored, b"x")))
    waiting.start()
    time.sleep(0.2)
    hashing.close()
    waiting.join(20)
    assert heard == [False]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_ends_with_the_venue_even_if_that_is_killed_and_stands_back_meanwhile() -> None:
    program = f"""
import sys, time
from gateway.hashing import Hashing
one = Hashing()
assert one.fits({STORED!r}, b"secret")
print(one._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as venue:
        assert venue.stdout is not None
        pid = int(venue.stdout.readline())
        assert is_alive(pid)
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        venue.kill()
    wait_until(lambda: not is_alive(pid))
