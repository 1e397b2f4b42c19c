"""Whether a password fits a hash, found out in a process of its own: slow on purpose, and in nobody's way.

    venue ─ [hash, password] a line ─> python -m gateway.hashing      lowest priority, one after the other
          <─ true or false a line ─                                   ends with the venue, however that ends

In a thread of the venue the 64 MiB of a hash would hold up everybody who trades, however low its priority: memory is
handed out to a process as a whole.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import argon2
import msgspec

_LOWEST = 19
_KEEPS_ITS_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""For glibc: the 64 MiB stay with the process. To clear as much anew for every hash would be the kernel's work, which
has no priority and holds up a venue on the same core for milliseconds."""


def fits(password_hash: str, password: bytes) -> bool:
    """Whether it fits; what is no hash is fitted by nothing."""
    try:
        return argon2.PasswordHasher().verify(password_hash, password)
    except (argon2.exceptions.VerificationError, ValueError):
        return False


class Hashing:
    """The process, started when it is first needed, and again should it have died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def fits(self, password_hash: str, password: bytes) -> bool:
        """As the function; waits for the answer, so call it from one thread that may wait.

        A process that dies meanwhile leaves the password unproved: False.
        """
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = self._start()
        question, answer = self._process.stdin, self._process.stdout
        assert question is not None
        assert answer is not None
        try:
            question.write(msgspec.json.encode((password_hash, password)) + b"\n")
            question.flush()
        except BrokenPipeError:
            return False
        return answer.readline() == b"true\n"

    def close(self) -> None:
        """End the process; whoever waits for it hears False."""
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None

    @staticmethod
    def _start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", __name__]
        environment = os.environ | _KEEPS_ITS_MEMORY | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.Popen(  # noqa: S603  (our own program)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )


def main() -> None:
    """The process: answers until nobody asks any more."""
    os.nice(_LOWEST)
    with contextlib.suppress(OSError):  # Linux shares a core among sessions first, then by niceness in each
        Path("/proc/self/autogroup").write_text(str(_LOWEST))
    for line in sys.stdin.buffer:
        password_hash, password = msgspec.json.decode(line, type=tuple[str, bytes])
        sys.stdout.buffer.write(msgspec.json.encode(fits(password_hash, password)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
