"""An instructor at work: gives an account cash and units, halts trading, and resumes it.

    python -m gateway.examples.instructor --port 1883 --name operator --password ... --account 2

Accounts go by number here; `emex accounts list` shows them.
"""

import argparse
import asyncio

from engine.codes import Phase
from engine.units import fen_from_text
from gateway.client import Trader
from gateway.wire import messages as m
from gateway.wire.topics import Role


async def run_the_class(options: argparse.Namespace) -> None:
    """Fund, halt, resume."""
    account = options.host, options.port, options.name, options.password
    async with Trader(*account, role=Role.INSTRUCTOR) as me:
        assert me.session is not None
        open_phase = me.session.phase
        outcomes = [
            await me.request(m.Deposit, account=options.account, amount_fen=fen_from_text(options.cash)),
            await me.request(m.Issue, account=options.account, instrument=0, qty=options.units),
        ]
        for outcome in outcomes:
            if not outcome.ok:
                print(f"refused: {outcome.reason_name}", flush=True)
        print(f"account {options.account} has {options.cash} CNY and {options.units} t more", flush=True)

        await me.request(m.SetPhase, phase=Phase.HALTED)
        print("trading is halted", flush=True)
        await asyncio.to_thread(input, "Enter resumes it ")
        await me.request(m.SetPhase, phase=open_phase)
        print("trading goes on", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--name", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--account", type=int, required=True, help="number of the account that gets something")
    parser.add_argument("--cash", default="1000000", help="CNY")
    parser.add_argument("--units", type=int, default=1000, help="tonnes of the first instrument")
    asyncio.run(run_the_class(parser.parse_args()))
