"""What travels: the contract with everyone who sends orders. No I/O, no session, no market.

messages.py     every message as a type: requests, operator's commands, replies, market data
records.py      the packed forms: a request, a private report, and the row the journal keeps
codec.py        bytes <-> messages and records; what is refused before a session sees it, and why
topics.py       the names of the channels, and who may publish or read which
reasons.py      why the door refuses (the market's own reasons are `engine.codes.RejectReason`)
asyncapi.py     the same contract as an AsyncAPI 3 document, generated
"""
