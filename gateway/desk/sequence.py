"""The step between asking and doing: which requests are new, and the journal's row of each.

A principal's numbers ascend; one that does not is a repetition and never carried out. Compiled, because every request
passes through it; rows are handled as 64-bit words, which are copied many times faster than fields.
"""

import numpy as np

from engine.jit import entry
from engine.records import COMMAND
from gateway.wire.records import RECORD, REQUEST

REQUEST_WORDS = REQUEST.itemsize // 8
RECORD_WORDS = RECORD.itemsize // 8
_COMMAND_WORDS = COMMAND.itemsize // 8
_TIME = COMMAND.fields["time_ns"][1] // 8  # type: ignore[index]
_SEQ_BITS = 0xFFFFFFFF


@entry
def write_records(
    requests: np.ndarray,
    who: np.ndarray,
    numbers: np.ndarray,
    last_seqs: np.ndarray,
    multipliers: np.ndarray,
    now_ns: int,
    keep_time: bool,  # noqa: FBT001  (the compiler's functions take flags by position)
    records: np.ndarray,
    taken: np.ndarray,
) -> int:
    """Write the record of every new request; returns how many there are.

    Parameters
    ----------
    requests : REQUEST rows as words, uint64, shape (n, REQUEST_WORDS)
    who : index of each row's principal, int64, shape (n,)
    numbers, last_seqs : of each principal its number and its last request; int64, shape (principals,)
    multipliers : `records.HASH_MULTIPLIERS`
    now_ns : time of the turn
    keep_time : whether a later time that a request brings counts
    records : RECORD rows as words to write, uint64, shape (at least n, RECORD_WORDS)
    taken : to write: the request behind each record, int64, shape (at least n,)
    """
    count, latest = 0, np.int64(now_ns)
    for row in range(requests.shape[0]):
        principal = who[row]
        seq = np.int64(requests[row, 0] & np.uint64(_SEQ_BITS))
        if seq <= last_seqs[principal]:
            continue
        last_seqs[principal] = seq
        content = np.uint64(0)
        for word in range(REQUEST_WORDS):
            value = requests[row, word]
            content += (value ^ (value >> np.uint64(29))) * multipliers[word]
        records[count, 0] = np.uint64(numbers[principal]) | (np.uint64(seq) << np.uint64(32))
        records[count, 1] = content ^ (content >> np.uint64(32))
        for word in range(_COMMAND_WORDS):
            records[count, 2 + word] = requests[row, 1 + word]
        if keep_time:
            brought = np.int64(requests[row, 1 + _TIME])
            latest = brought if brought > latest else latest  # noqa: FURB136  (max of NumPy scalars is nobody's type)
        records[count, 2 + _TIME] = np.uint64(latest)
        taken[count] = row
        count += 1
    return count


def as_words(rows: np.ndarray) -> np.ndarray:
    """Structured rows as 64-bit words, a view, uint64, shape (n, words)."""
    return rows.view(np.uint64).reshape(len(rows), rows.itemsize // 8)
