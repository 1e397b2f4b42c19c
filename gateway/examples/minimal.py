"""A participant that knows nothing of emex: an MQTT client and MessagePack are enough. Copy it anywhere.

    pip install paho-mqtt msgpack
    python minimal.py --port 1883 --name anna --password ... --side buy --qty 10 --price 48.50

It logs on, sends one order, and prints what became of it. A payload is an array of messages; a message is an array that
begins with its type. Who gets no answer sends the same request again with the same number: it happens once.
"""

import argparse
import queue
from decimal import Decimal
from typing import Any

import msgpack
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

LAST_SEQ = 1
"""In the answer to a Logon: the number of one's last request."""
ORDER_ID, QTY, LEAVES_QTY, PRICE_FEN, REF_SEQ, EXEC_TYPE, REASON = 4, 7, 8, 11, 15, 16, 20
"""In an execution report."""
KINDS = {1: "accepted", 2: "rejected", 3: "traded", 4: "cancelled"}


def main(options: argparse.Namespace) -> None:
    """Log on, order, listen until the order waits, is filled, or is refused."""
    replies: queue.Queue[list[Any]] = queue.Queue()

    def on_message(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        for reply in msgpack.unpackb(message.payload):
            replies.put(reply)

    def wait_for(tag: str) -> list[Any]:
        while True:
            reply = replies.get(timeout=10)
            if reply[0] == tag:
                return reply
            if reply[0] in {"3", "j"}:
                raise SystemExit(f"the door refuses: {reply}")

    def send(*messages: list[Any]) -> None:
        client.publish(f"emex/1/in/{options.name}", msgpack.packb(messages), qos=1)

    def on_connect(_client: Client, _userdata: object, _flags: Any, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            replies.put(["3", reason.value, str(reason)])
        client.subscribe(f"emex/1/out/{options.name}")

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.username_pw_set(options.name, options.password)
    client.on_message = on_message
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: send(["A"])
    client.connect(options.host, options.port)
    client.loop_start()

    seq = wait_for("A")[LAST_SEQ] + 1
    send(["D", seq, options.instrument, 1 if options.side == "buy" else 2, options.qty, int(options.price * 100)])
    answer = wait_for("8")
    while answer[REF_SEQ] != seq:
        answer = wait_for("8")
    print(f"order {answer[ORDER_ID]} {KINDS[answer[EXEC_TYPE]]}, reason {answer[REASON]}", flush=True)
    left = options.qty if options.wait and answer[EXEC_TYPE] == 1 else 0
    while left:
        fill = wait_for("8")
        if fill[EXEC_TYPE] == 3 and fill[ORDER_ID] == answer[ORDER_ID]:
            left = fill[LEAVES_QTY]
            print(f"traded {fill[QTY]} t at {Decimal(fill[PRICE_FEN]) / 100}, {left} t left", flush=True)

    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--name", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--instrument", type=int, default=0, help="place in the venue's list of symbols")
    parser.add_argument("--side", choices=("buy", "sell"), required=True)
    parser.add_argument("--qty", type=int, required=True, help="tonnes")
    parser.add_argument("--price", type=Decimal, required=True, help="CNY")
    parser.add_argument("--wait", action="store_true", help="until it is filled")
    main(parser.parse_args())
