"""The synchronous client, as in a notebook: every call returns when the venue has answered.

    python -m gateway.examples.notebook --port 1883 --name anna --password ... --symbol ANY

In a notebook, where a `with` block would end with its cell, open and close it by hand:

    me = SyncTrader("127.0.0.1", 1883, "anna", password).open()
    me.buy("ANY", qty=10, price="48.50")
    me.close()
"""

import argparse

from engine.units import text_from_fen
from gateway.client import SyncTrader


def trade(options: argparse.Namespace) -> None:
    """Look, order, change one's mind, look again."""
    with SyncTrader(options.host, options.port, options.name, options.password) as me:
        account, _ = me.status()
        if account is None:
            print("this name has no account at the venue")
            return
        print(f"free cash {text_from_fen(account.cash_fen)}, holdings by instrument {account.units}")

        order = me.buy(options.symbol, qty=10, price="48.50")
        if not order.ok:
            print(f"refused: {order.reason_name}")
            return
        print(f"order {order.order_id} stands")

        me.replace(order.order_id, price="49.00", qty=5)
        _, orders = me.status()
        for waiting in orders:
            print(f"waiting: order {waiting.order_id}, {waiting.leaves_qty} t at {text_from_fen(waiting.price_fen)}")

        me.cancel(order.order_id)
        _, orders = me.status()
        print(f"{len(orders)} orders wait")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--name", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--symbol", default="ANY")
    trade(parser.parse_args())
