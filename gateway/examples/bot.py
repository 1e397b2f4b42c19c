"""A market maker: it quotes around the last price, and quotes again whenever somebody has taken from it.

    emex serve generic --cash 1000000 --units 1000
    python -m gateway.examples.bot --port 1883 --name anna --password ... --symbol ANY

It stops with Ctrl-C, or after `--fills`. Its quotes go when it goes, also when its connection breaks.
"""

import argparse
import asyncio
import contextlib

from engine.codes import EventKind
from engine.units import text_from_fen
from gateway.client import Trader


async def quote(me: Trader, symbol: str, price: int, spread: int, qty: int) -> None:
    """One bid and one offer around `price` (fen), instead of those before."""
    await me.cancel_all()
    for outcome in (await me.buy(symbol, qty, price - spread), await me.sell(symbol, qty, price + spread)):
        if not outcome.ok:
            print(f"refused: {outcome.reason_name}", flush=True)
    print(f"quoting {text_from_fen(price - spread)} / {text_from_fen(price + spread)}", flush=True)


async def make_market(options: argparse.Namespace) -> None:
    """Quote until enough has been traded."""
    account = options.host, options.port, options.name, options.password
    async with Trader(*account, cancel_on_disconnect=True) as me:
        reports = me.reports()
        book = await me.book(options.symbol)
        try:
            await quote(me, options.symbol, book.last_price_fen or 0, options.spread, options.qty)
            fills = 0
            async for report in reports:
                if report.exec_type == EventKind.TRADE:
                    print(f"traded {report.qty} t at {text_from_fen(report.price_fen)}", flush=True)
                    fills += 1
                    if fills == options.fills:
                        break
                    await quote(me, options.symbol, report.price_fen, options.spread, options.qty)
        finally:
            await me.cancel_all()  # to leave is no broken connection


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--name", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--symbol", default="ANY")
    parser.add_argument("--qty", type=int, default=10, help="tonnes of each quote")
    parser.add_argument("--spread", type=int, default=20, help="fen from the last price to each quote")
    parser.add_argument("--fills", type=int, default=0, help="stop after so many; 0 = never")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(make_market(parser.parse_args()))
