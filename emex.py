"""The `emex` command, and the same verbs as functions for a notebook.

    >>> import emex
    >>> emex.replay("cea-2021", seed=2)["volume_t"]
    >>> emex.match("generic", "orders.csv")["trades"]

Importing this file imports nothing but the standard library and typer, so that `emex --help` answers at once;
each verb imports the module that does its work. No market logic lives here.

Exit status: 0 held, 1 a check failed, 2 wrong usage or bad input. Results go to standard output, progress and
errors to standard error.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

T = TypeVar("T")

_WIDE = 150
"""Columns of a terminal that has room for titles in two languages."""

Progress = Callable[[int, int], None]
"""Told (done, of how many)."""

app = typer.Typer(
    name="emex",
    help="An emissions-trading exchange on a laptop: real rulebooks, a compiled engine, compliance seasons.",
    epilog="Example: emex replay cea-2021",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: a third of the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class EngineName(StrEnum):
    """Which of the two engines runs."""

    FAST = "fast"
    REFERENCE = "reference"


class Via(StrEnum):
    """Where a season trades."""

    PROCESS = "process"
    GATEWAY = "gateway"


class Hours(StrEnum):
    """How a served venue's phases come about; the words of `gateway.hours.Hours`."""

    ALWAYS = "always"
    TIMETABLE = "timetable"
    OPERATOR = "operator"


class BrokerName(StrEnum):
    """Whose access list is written; the words of `gateway.transports.broker_acl.BrokerKind`."""

    MOSQUITTO = "mosquitto"
    EMQX = "emqx"


EngineOption = Annotated[EngineName, typer.Option("--engine", help="The compiled engine or its readable twin.")]
BrokerUserOption = Annotated[str, typer.Option(help="As whom the venue logs on at the broker.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


def replay(
    scenario: str,
    seed: int = 1,
    out: str | Path | None = None,
    engine: str = "fast",
    progress: Progress | None = None,
    via: str = "process",
) -> dict[str, Any]:
    """Run a compliance season.

    Parameters
    ----------
    scenario : name of a shipped scenario, see `emex scenarios`
    seed : decides all luck; same seed, same season
    out : folder for report.html, events.parquet, prices.parquet, run.json and, via a gateway, its journal;
        None = write nothing
    engine : "fast" or "reference"
    progress : called with (days done, of how many)
    via : "process", or "gateway": through a journaled server started for it; the same events either way

    Returns
    -------
    dict
        What `emex replay --json` prints.
    """
    from engine.errors import EmexError
    from sim.replay import replay as run

    if via not in list(Via):
        raise EmexError(f"via: got {via!r}, expected one of {', '.join(Via)}")
    through: Any = None
    if via == Via.GATEWAY:
        from sim.through import through_gateway

        through = through_gateway
        if engine != EngineName.FAST:
            raise EmexError(f"engine: got {engine!r} via a gateway, expected 'fast', which is the one that it runs")
    return run(scenario, seed, None if out is None else Path(out), engine, progress, through)


def replay_tape(
    tape: str | Path,
    rules: str,
    scale: int = 1,
    seed: int = 1,
    out: str | Path | None = None,
    product: str | None = None,
    first: str | None = None,
    last: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Send a recorded daily tape through the engine as a load: a load generator, not a simulation.

    Parameters
    ----------
    tape : daily CSV: date, volume, and a mean price, an amount or a close, under English or Chinese names
    rules : name of a shipped rulebook, see `emex rules`, or path of a TOML file
    scale : times the recorded volume, in as many times the messages
    seed : decides sizes, sides and who trades
    out : folder for days.parquet, events.parquet, run.json; None = write nothing
    product : rows of this product, or of a pattern such as "TJEA*"; None: the file has one product
    first, last : from that day to that day, such as 2021-11-01; None: no end
    progress : called with (days done, of how many)

    Returns
    -------
    dict
        What `emex replay --tape … --json` prints.
    """
    import datetime as dt

    from sim.tape.run import replay_tape as run

    begin, end = (
        None if day is None else _parsed(option, day, dt.date.fromisoformat)
        for option, day in (("--first", first), ("--last", last))
    )
    folder = None if out is None else Path(out)
    return run(
        Path(tape), rules, scale=scale, seed=seed, out=folder, product=product, first=begin, last=end, progress=progress
    )


def fit(
    series: str | Path,
    scenario: str,
    rules: str | None = None,
    product: str | None = None,
    trials: int = 40,
    seeds: int = 8,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Estimate a season's fitted parameters from a daily series of volume and price.

    Parameters
    ----------
    series : CSV with date, volume and price columns, under English or Chinese names
    scenario : whose dates, firms, rules and fitted parameters hold
    rules : another rulebook than the scenario's
    product : whose rows, where the file has several products
    trials, seeds : how long to search
    progress : called with (trials done, of how many)

    Returns
    -------
    dict
        What `emex fit --json` prints.
    """
    from sim.own import fit_own

    return fit_own(Path(series), scenario, rules, product, trials, seeds, progress)


def match(rules: str, orders: str | Path, events: str | Path | None = None, engine: str = "fast") -> dict[str, Any]:
    """Run a file of commands through an engine.

    Parameters
    ----------
    rules : name of a shipped rulebook, see `emex rules`, or path of a TOML file
    orders : CSV or Parquet of commands
    events : where to write the events, CSV or Parquet by suffix; None = nowhere
    engine : "fast" or "reference"

    Returns
    -------
    dict
        What `emex match --json` prints.
    """
    from gateway.files import match_file

    return match_file(rules, Path(orders), None if events is None else Path(events), engine)


@app.command(
    "replay",
    epilog="Examples: emex replay cea-2021 --seed 2 --out out/second; "
    "emex replay --tape daily.csv --rules cn-cea --scale 100",
)
def _replay(
    scenario: Annotated[str | None, typer.Argument(metavar="SCENARIO", help="Name from `emex scenarios`.")] = None,
    *,
    seed: Annotated[int, typer.Option(min=0, help="Decides all luck; same seed, same season.")] = 1,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder of results [default: out/SCENARIO].")
    ] = None,
    engine: EngineOption = EngineName.FAST,
    via: Annotated[
        Via, typer.Option(help="Trade in this process, or through a journaled gateway started for it.")
    ] = Via.PROCESS,
    tape: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A daily CSV to follow, no season: a load, not a simulation."),
    ] = None,
    rules: Annotated[str | None, typer.Option(metavar="MARKET", help="Rulebook that the tape trades under.")] = None,
    scale: Annotated[int | None, typer.Option(min=1, max=10_000, help="Times the tape's volume and messages.")] = None,
    product: Annotated[str | None, typer.Option(help="Of a tape with several: one, or a pattern: 'TJEA*'.")] = None,
    first: Annotated[str | None, typer.Option(metavar="DATE", help="Of the tape, from that day on.")] = None,
    last: Annotated[str | None, typer.Option(metavar="DATE", help="Of the tape, up to that day.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a compliance season.

    Prints what happened and the realism checks; writes report.html, events.parquet, prices.parquet and run.json.
    Through a gateway the same orders give the same events; its journal is replayed and written beside them.

    With --tape a recorded daily file is followed instead: volume and mean price of each day come out of the engine as
    recorded, --scale times as much. That is a load generator: no realism check is run on it.
    """
    if tape is not None:
        _expect(scenario is None, "SCENARIO", scenario, "none beside --tape")
        _expect(via is Via.PROCESS and engine is EngineName.FAST, "--via, --engine", f"{via}, {engine}", "neither")
        _replay_tape(tape, rules, scale or 1, seed, out, product, first, last, as_json=as_json)
    given = {"--rules": rules, "--scale": scale, "--product": product, "--first": first, "--last": last}
    for option, value in given.items():
        _expect(value is None, option, value, "--tape FILE beside it")
    if scenario is None:
        raise _bad("SCENARIO", None, "a name from `emex scenarios`, or --tape FILE with --rules MARKET")
    folder = out or Path("out") / scenario
    _announce_compiling(engine)
    with _progress_bar() as progress:
        summary = replay(scenario, seed, folder, engine.value, progress, via.value)
    from sim.replay import print_summary

    _show(summary, print_summary, as_json=as_json)
    print(f"report: {folder / 'report.html'}", file=sys.stderr if as_json else sys.stdout)
    journal = summary["journal"]
    _exit(failed=not summary["conserved"] or (journal is not None and not journal["held"]))


def _replay_tape(
    tape: Path, rules: str | None, scale: int, seed: int, out: Path | None, product: str | None, first: str | None,
    last: str | None, *, as_json: bool,
) -> None:  # fmt: skip
    """`replay --tape`. A day that cannot be followed is a finding with its reason; a refused message is a failure."""
    if rules is None:
        raise _bad("--rules", None, "a MARKET beside --tape")
    folder = out or Path("out") / f"tape-{tape.stem}"
    _announce_compiling(EngineName.FAST)
    with _progress_bar() as progress:
        summary = replay_tape(tape, rules, scale, seed, folder, product, first, last, progress)
    from sim.tape.run import print_tape

    _show(summary, print_tape, as_json=as_json)
    print(f"days: {folder / 'days.parquet'}", file=sys.stderr if as_json else sys.stdout)
    _exit(failed=not summary["conserved"] or bool(summary["refused"]))


@app.command("fit", epilog="Example: emex fit daily.csv --scenario hbea-2017")
def _fit(
    series: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV: date, volume, price.")],
    *,
    scenario: Annotated[str, typer.Option(help="Whose dates, firms, rules and fitted parameters hold.")],
    rules: Annotated[str | None, typer.Option(metavar="MARKET", help="Another rulebook than the scenario's.")] = None,
    product: Annotated[str | None, typer.Option(help="Of a file with several: one, or a pattern: 'TJEA*'.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Parameter sets to try.")] = 40,
    seeds: Annotated[int, typer.Option(min=2, help="Seasons for each.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Estimate a season's fitted parameters from your own daily series.

    Prints the estimates with what the seeds cannot tell apart, what stays unmet, and figures the fit did not use.
    """
    _announce_compiling(EngineName.FAST)
    with _progress_bar("trials") as progress:
        summary = fit(series, scenario, rules, product, trials, seeds, progress)
    from sim.own import print_fit

    _show(summary, print_fit, as_json=as_json)
    _exit(failed=bool(summary["unmet"]))


@app.command("scenarios", epilog="Example: emex scenarios --json")
def _scenarios(*, as_json: JsonOption = False) -> None:
    """List the seasons that can be replayed."""
    from sim.season import list_scenarios

    _show(list_scenarios(), _print_seasons, as_json=as_json)


@app.command(
    "rules", epilog="Examples: emex rules guangdong --at 2016-12-23; emex rules diff hubei@2016-07-17 hubei@2016-07-18"
)
def _rules(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="MARKET | diff A B", help="Omit it to list the markets.")
    ] = None,
    *,
    at: Annotated[str | None, typer.Option(metavar="DATE", help="MARKET as of that day; else the newest.")] = None,
    table: Annotated[bool, typer.Option("--table", help="MARKET's values as written, not sentences.")] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.html", dir_okay=False, help="Write all markets side by side.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List markets, show one in words with its sources, or say what differs.

    MARKET is a name from the list or the path of a .toml file; so are A and B of `diff A B`, each perhaps with @DATE
    behind it.
    """
    _refuse_together(words or [], at=at, table=table, page=page)
    match words or []:
        case [] if page:
            from engine.rules.page import print_page, write_page

            _show(write_page(page), print_page, as_json=as_json)
        case []:
            from engine.rules.schema import list_markets

            _show(list_markets(), _print_titles, as_json=as_json)
        case ["diff", a, b]:
            from engine.rules.show import describe_differences, print_differences

            _show(describe_differences(a, b), print_differences, as_json=as_json)
        case market:
            from engine.rules.show import describe, print_rules, print_table

            _show(describe(market[0], at), print_table if table else print_rules, as_json=as_json)


def _refuse_together(words: list[str], *, at: str | None, table: bool, page: Path | None) -> None:
    """One MARKET, or `diff A B`, or --page, or nothing; --at and --table beside a MARKET alone."""
    from engine.errors import EmexError

    got, diff = " ".join(words), words[:1] == ["diff"]
    if (diff and len(words) != 3) or (not diff and len(words) > 1):
        raise EmexError(f"rules: got {got!r}, expected one MARKET, or diff A B")
    if page and words:
        raise EmexError(f"--page: got {got!r} beside it, expected neither MARKET nor diff: the page shows all markets")
    if (at or table) and (diff or not words):
        option = "--at" if at else "--table"
        raise EmexError(f"{option}: got {got or 'no market'!r} beside it, expected MARKET (of diff A B write A@DATE)")


@app.command("match", epilog="Example: emex match --rules generic --orders orders.csv --events events.csv")
def _match(
    *,
    rules: Annotated[str, typer.Option(metavar="MARKET", help="Name from `emex rules`, or a TOML file.")],
    orders: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Commands, CSV or Parquet.")],
    events: Annotated[Path | None, typer.Option(dir_okay=False, help="Write events here, CSV or Parquet.")] = None,
    engine: EngineOption = EngineName.FAST,
    as_json: JsonOption = False,
) -> None:
    """Run a file of commands through an engine.

    Counts what happened; says why a command was refused.

    Columns: time_ns, action; where the action needs them id, account, side, type, tif, price, quantity, instrument,
    mode, target_id, contra, amount, phase, group, participant, until_ns, min_quantity, bound, post_only, switch.
    Prices and amounts are decimal text.
    """
    _announce_compiling(engine)
    with _status("matching"):
        result = match(rules, orders, events, engine.value)
    from gateway.files import print_match

    _show(result, print_match, as_json=as_json)


@app.command("serve", epilog="Example: emex serve generic --port 1883 --metrics-port 9100")
def _serve(
    rules: Annotated[str, typer.Argument(metavar="MARKET", help="Name from `emex rules`, or a TOML file.")] = "generic",
    *,
    journal: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Everything that happens [default: emex-MARKET/journal].")
    ] = None,
    accounts: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Who may log on [default: emex-MARKET/accounts.json].")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="MQTT over TCP; 0 = any free one.")] = 1883,
    websocket_port: Annotated[int | None, typer.Option(min=0, max=65535, help="MQTT over WebSocket.")] = None,
    metrics_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Prometheus metrics.")] = None,
    hours: Annotated[
        Hours, typer.Option(help="Open always, by the rulebook's timetable, or as the operator says.")
    ] = Hours.ALWAYS,
    rate: Annotated[int, typer.Option(min=0, help="Requests a second of one trader; 0 = no limit.")] = 300,
    cash: Annotated[str, typer.Option(help="CNY that a new trader's account begins with.")] = "0",
    units: Annotated[int, typer.Option(min=0, help="Tonnes of each instrument that it begins with.")] = 0,
    time_from_operator: Annotated[
        bool, typer.Option("--time-from-operator", help="The operator's commands bring their own time (simulations).")
    ] = False,
    certificate: Annotated[Path | None, typer.Option(exists=True, help="TLS certificate chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(exists=True, help="Its private key, PEM.")] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="mqtt:// or mqtts://HOST:PORT of a broker to be a client of, too.")
    ] = None,
    broker_user: BrokerUserOption = "emex",
    broker_only: Annotated[bool, typer.Option("--broker-only", help="No MQTT port of its own beside it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a venue that programs trade through, by MQTT 5.

    Every request is journaled before it is answered; the same journal goes on after a restart. Where there are no
    accounts yet, an operator and two traders are made, and their passwords shown once. The password for a broker is
    read from EMEX_BROKER_PASSWORD; `emex broker-acl` writes the broker's access list.
    """
    from engine.units import fen_from_text
    from gateway.serve import Options, serve, welcome

    folder = Path(f"emex-{Path(rules).stem}")
    options = Options(
        rules=rules, journal=journal or folder / "journal", accounts=accounts or folder / "accounts.json", host=host,
        port=None if broker_only else port, websocket_port=websocket_port, metrics_port=metrics_port, hours=hours.value,
        rate=rate, cash_fen=_parsed("--cash", cash, fen_from_text), units_t=units,
        time_from_operator=time_from_operator, certificate=certificate, key=key,
        broker=_broker(broker, broker_user, only=broker_only),
    )  # fmt: skip
    _announce_compiling(EngineName.FAST)

    def announce(running: Any) -> None:
        where = {"ports": running.ports, "passwords": running.new_passwords}
        print(json.dumps(where) if as_json else welcome(running), flush=True)

    _exit(failed=not serve(options, announce))


def _broker(url: str | None, user: str, *, only: bool) -> Any:
    """Where the broker is; the password comes from the environment, which other users of the machine cannot read."""
    import os

    from engine.errors import EmexError
    from gateway.transports.bridge import Broker

    if url is None:
        if only:
            raise EmexError("--broker-only: got no broker, expected --broker URL beside it")
        return None
    password = os.environ.get("EMEX_BROKER_PASSWORD")
    if not password:
        raise EmexError(f"EMEX_BROKER_PASSWORD: got nothing, expected the password of {user} at {url}")
    return Broker.parse(url, user, password)


accounts_app = typer.Typer(help="Make and change the file of those who may log on to a venue.", no_args_is_help=True)
app.add_typer(accounts_app, name="accounts")
AccountsFile = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The file of accounts.")]
KnownFile = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The file of accounts.")]
AccountNames = Annotated[list[str], typer.Argument(metavar="NAME...", help="1 to 32 of a-z, 0-9, _ and -.")]


class RoleName(StrEnum):
    """What somebody may do; the words of `gateway.wire.topics.Role`."""

    TRADER = "trader"
    INSTRUCTOR = "instructor"
    OBSERVER = "observer"
    DROP_COPY = "drop_copy"


@accounts_app.command("list", epilog="Example: emex accounts list emex-generic/accounts.json")
def _accounts_list(file: KnownFile, *, as_json: JsonOption = False) -> None:
    """Who may log on, as what, under which number."""
    from gateway.accounts import Accounts

    rows = [{"name": h.name, "role": h.role.value, "number": h.number} for h in Accounts.load(file)]
    _show(rows, lambda rows, _: print(*(f"{r['number']:>6}  {r['role']:<10}  {r['name']}" for r in rows), sep="\n"),
          as_json=as_json)  # fmt: skip


@accounts_app.command("add", epilog="Example: emex accounts add class.json anna ben chen --role trader")
def _accounts_add(
    file: AccountsFile,
    names: AccountNames,
    *,
    role: Annotated[RoleName, typer.Option(help="What they may do.")] = RoleName.TRADER,
    as_json: JsonOption = False,
) -> None:
    """Add accounts, with a new password each, which is shown once; the file keeps Argon2id hashes only.

    A venue reads the file when it starts.
    """
    from gateway.wire.topics import Role

    _give_passwords(file, names, lambda accounts, name, new: accounts.add(name, Role(role.value), new), as_json=as_json)


@accounts_app.command("password", epilog="Example: emex accounts password class.json anna")
def _accounts_password(file: KnownFile, names: AccountNames, *, as_json: JsonOption = False) -> None:
    """Give accounts another password, which is shown once."""
    _give_passwords(file, names, lambda accounts, name, new: accounts.set_password(name, new), as_json=as_json)


@accounts_app.command("remove", epilog="Example: emex accounts remove class.json anna")
def _accounts_remove(file: KnownFile, names: AccountNames) -> None:
    """Remove accounts; their numbers are never given again, and what they own stays where it is."""
    from gateway.accounts import Accounts

    accounts = Accounts.load(file)
    for name in names:
        accounts.remove(name)
    accounts.save()


def _give_passwords(file: Path, names: list[str], give: Callable[[Any, str, str], object], *, as_json: bool) -> None:
    """All names or, where one of them makes no sense, none."""
    from gateway.accounts import Accounts, new_password

    accounts = Accounts.load(file)
    passwords = {name: new_password() for name in names}
    for name, password in passwords.items():
        give(accounts, name, password)
    file.parent.mkdir(parents=True, exist_ok=True)
    accounts.save()
    _show(passwords, lambda made, _: print(*(f"{n} {p}" for n, p in made.items()), sep="\n"), as_json=as_json)


@app.command("broker-acl", epilog="Example: emex broker-acl --broker mosquitto --accounts emex-generic/accounts.json")
def _broker_acl(
    *,
    accounts: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Who may log on.")],
    broker: Annotated[BrokerName, typer.Option(help="Whose words.")] = BrokerName.MOSQUITTO,
    broker_user: BrokerUserOption = "emex",
    as_json: JsonOption = False,
) -> None:
    """Print the access list that a broker needs for a venue's accounts.

    Behind a broker it is the only thing that keeps one account's requests and reports from another.
    """
    from gateway.accounts import Accounts
    from gateway.transports.broker_acl import BrokerKind, access_list

    text = access_list(BrokerKind(broker.value), Accounts.load(accounts), broker_user)
    print(json.dumps({"broker": broker.value, "file": text}) if as_json else text, end="\n" if as_json else "")


@app.command("load", epilog="Example: emex load --spawn --rate 1000 --seconds 10")
def _load(
    *,
    spawn: Annotated[bool, typer.Option("--spawn", help="Start a journaled venue of one's own for it.")] = False,
    rate: Annotated[int, typer.Option(min=0, help="Requests a second; 0 = as fast as answers come.")] = 1000,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to send.")] = 10.0,
    batch: Annotated[int, typer.Option(min=1, max=100, help="Requests of one payload.")] = 1,
    in_flight: Annotated[int, typer.Option(min=1, help="Payloads in flight when the rate is 0.")] = 8,
    traders: Annotated[int, typer.Option(min=1, help="Accounts that send, when spawning.")] = 8,
    rules: Annotated[str, typer.Option(metavar="MARKET", help="Rulebook of the venue.")] = "generic",
    host: Annotated[str, typer.Option(help="Of a running venue.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of a running venue.")] = 1883,
    passwords: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Of a running venue: lines of NAME PASSWORD.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="What is traded [default: the first instrument].")] = None,
    messages: Annotated[
        bool, typer.Option("--messages", help="Batches as messages, not as packed rows, which are quicker to read.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides the orders.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Send a load to a venue and audit every answer.

    Each request must have exactly one outcome, quantities and balances must add up. Latency counts from the moment
    when a payload was due, not when it could be sent.
    """
    from gateway.load import LoadOptions, load, print_load

    if spawn == bool(passwords):
        from engine.errors import EmexError

        raise EmexError("load: expected either --spawn, or --passwords of a running venue")
    names = None
    if passwords:
        names = {line.split()[0]: line.split()[1] for line in passwords.read_text().splitlines() if line.strip()}
    options = LoadOptions(
        host=host, port=port, rate=rate, seconds=seconds, batch=batch, in_flight=in_flight, packed=not messages,
        symbol=symbol, seed=seed,
    )  # fmt: skip
    with _status("sending"):
        result = load(options, rules, traders, names)
    _show(result, print_load, as_json=as_json)
    _exit(failed=bool(result["lost"] or result["doubled"] or result["unexplained"]))


@app.command("verify", epilog="Example: emex verify emex-generic/journal")
def _verify(
    journal: Annotated[Path, typer.Argument(dir_okay=False, help="Journal of a venue, running or not.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Replay a venue's journal and check it.

    Every commit must be the one that was written, the books must add up, reports must be numbered without gaps, and
    every snapshot must equal the replayed state.
    """
    from gateway.verify import print_verify, verify

    with _progress_bar("commits") as progress:
        result = verify(journal, progress)
    _show(result, print_verify, as_json=as_json)
    _exit(failed=not all(result["invariants"].values()))


@app.command("export", epilog="Example: emex export emex-generic/journal --out out/tape")
def _export(
    journal: Annotated[Path, typer.Argument(dir_okay=False, help="Journal of a venue, running or not.")],
    *,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for commands.parquet and events.parquet.")],
    as_json: JsonOption = False,
) -> None:
    """Write a venue's journal as Parquet: what was asked, and what came of it."""
    from gateway.verify import export, print_export

    with _progress_bar("commits") as progress:
        result = export(journal, out, progress)
    _show(result, print_export, as_json=as_json)


@app.command(
    "bench", epilog="Examples: emex bench; emex bench exchange --flow main.bin; emex bench compare A.json B.json"
)
def _bench(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PART... | compare A B | page FILE",
            help="match, exchange, latency, gateway, replay unless told; kernels, scale, rush, peers; or all.",
        ),
    ] = None,
    *,
    flow: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="A recorded flow [default: made ones].")
    ] = None,
    unfunded: Annotated[bool, typer.Option("--unfunded", help="`exchange` without funds, T+1, fees: `match`.")] = False,
    against: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A program for the same flows, see bench/core.py.")
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Beside other order books from PyPI.")] = False,
    runs: Annotated[int, typer.Option(min=1, help="Of each figure; medians count.")] = 7,
    seconds: Annotated[float, typer.Option(min=1, help="Of each load on the gateway.")] = 10.0,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Keep the results here, JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure this machine: the core, and end to end through the gateway, two numbers and never one.

    `compare` says what differs between two kept results, beyond their noise. `page` writes a result into
    bench/README.md, with its pictures.
    """
    from bench.show import print_bench, print_comparison

    match words or []:
        case ["compare", a, b]:
            from bench.compare import compare

            _show(compare(Path(a), Path(b)), print_comparison, as_json=as_json)
        case ["page", file]:
            from bench.page import write_page

            _show(write_page(Path(file)), _print_paths, as_json=as_json)
        case parts:
            from bench.run import PARTS, QUICK, Options, bench

            wanted = list(PARTS) if parts == ["all"] else parts or list(QUICK)
            if unfunded:
                wanted = ["match" if part == "exchange" else part for part in wanted]
            if peers and "peers" not in wanted:
                wanted = [*(wanted if parts else ()), "peers"]
            folder = None if out is None else out.with_suffix(".histograms")
            options = Options(flow or (), against, runs, seconds, histograms=folder)
            _announce_compiling(EngineName.FAST)
            with _progress_bar("benchmarks") as progress:
                result = bench(wanted, options, progress)
            if out is not None:
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            _show(result, print_bench, as_json=as_json)


@app.command("doctor", epilog="Example: emex doctor")
def _doctor(*, as_json: JsonOption = False) -> None:
    """Check the installation.

    Compiles the engine where that has not been done yet, and says what this machine can hold.
    """
    from sim.doctor import doctor

    with _status("checking"):
        checks = doctor()
    _show({"checks": checks}, _print_checks, as_json=as_json)
    _exit(failed=not all(check["passed"] for check in checks))


def _print_version(wanted: bool) -> None:  # noqa: FBT001  (typer hands the flag over by position)
    if wanted:
        from importlib.metadata import version

        print(f"emex {version('emex')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # its callback has done the work


def _parsed(option: str, text: str, parse: Callable[[str], T]) -> T:
    """An option's text as a value; one line that names it where it cannot be."""
    try:
        return parse(text)
    except ValueError as error:
        from engine.errors import EmexError

        raise EmexError(f"{option}: {error}") from None


def _bad(option: str, value: object, expected: str) -> Exception:
    """An error about an option."""
    from engine.errors import EmexError

    return EmexError(f"{option}: got {value!r}, expected {expected}")


def _expect(held: bool, option: str, value: object, expected: str) -> None:  # noqa: FBT001  (reads as an assertion)
    if not held:
        raise _bad(option, value, expected)


def _show(result: T, print_it: Callable[[T, Any], None], *, as_json: bool) -> None:
    """`result` on standard output: as JSON, or as `print_it` shows it on a rich console."""
    if as_json:
        print(json.dumps(result, indent=2, allow_nan=False))
    else:
        from rich.console import Console

        print_it(result, Console())


def _print_titles(rows: list[dict[str, Any]], console: Any) -> None:
    from rich.table import Table

    table = Table("name", "title", box=None)
    for row in rows:
        table.add_row(row["name"], "\n".join(filter(None, (row["title"], row.get("title_zh")))))
    console.print(table)


def _print_seasons(rows: list[dict[str, Any]], console: Any) -> None:
    """One line each; the Chinese title where the terminal is wide."""
    from rich.table import Table

    table = Table(box=None)
    table.add_column("name", no_wrap=True, min_width=max(len(row["name"]) for row in rows))
    table.add_column("title", no_wrap=True, overflow="ellipsis")
    wide = console.width >= _WIDE
    if wide:
        table.add_column("标题", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(row["name"], row["title"], *([row["title_zh"]] if wide else []))
    console.print(table)


def _print_paths(paths: list[str], console: Any) -> None:
    for path in paths:
        console.print(path, highlight=False)


def _print_checks(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    table = Table("check", "value", "", box=None)
    for check in result["checks"]:
        table.add_row(check["name"], str(check["value"]), "ok" if check["passed"] else "[red]failed[/red]")
    console.print(table)


def _announce_compiling(engine: EngineName) -> None:
    """Say why the first start takes its time."""
    from engine.jit import JIT_ENABLED, cache_is_warm

    if engine is EngineName.FAST and JIT_ENABLED and not cache_is_warm():
        print("compiling the engine, once: about 10 seconds", file=sys.stderr)


@contextmanager
def _progress_bar(what: str = "trading days") -> Iterator[Progress]:
    """A bar on standard error, gone when done."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield report


@contextmanager
def _status(doing: str) -> Iterator[None]:
    """A turning wheel on standard error, for work that cannot say how far it is."""
    from rich.console import Console

    with Console(stderr=True).status(doing):
        yield


def _exit(*, failed: bool) -> None:
    raise typer.Exit(1 if failed else 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `emex`; always ends in `SystemExit`."""
    try:
        app(args=arguments)
    except Exception as error:
        from engine.errors import EmexError

        if not isinstance(error, (EmexError, OSError)):
            raise
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
