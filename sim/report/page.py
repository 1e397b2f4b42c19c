"""The page as a whole: which sections stand on it, in which order, and everything that they need written into it."""

from pathlib import Path

from plotly.offline import get_plotlyjs

from sim.report.beside import offsets, sales
from sim.report.constants import constants, repeat
from sim.report.elements import Both, Row, say
from sim.report.evidence import realism
from sim.report.firms import compliance, purchases, whereabouts
from sim.report.headline import headline
from sim.report.reasons import achieved, long_and_short
from sim.report.trading import monthly, price_and_volume, shares_of_modes, spread_and_depth
from sim.result import Season

HERE = Path(__file__).parent
MODES = {
    "listed": ("public trade", "公开交易"),
    "block": ("agreement", "协议交易"),
    "auction": ("sale by the government", "有偿发放"),
}
"""Words for the modes where the summary does not say what this market calls them."""


def _modes(summary: Row) -> dict[str, Both]:
    """Names of the market's modes by column of DAY rows, English with the market's own term beside it."""
    named: dict[str, tuple[str, str]] = summary.get("modes") or MODES
    return {mode: {"en": f"{en} {zh}", "zh": zh} for mode, (en, zh) in named.items()}


def write_report(path: Path, season: Season, summary: Row, announced: list[Row], parameters: list[Row]) -> None:
    """Write the page.

    Parameters
    ----------
    path
        The HTML file; replaced if it exists.
    season
        A finished season with firms. Prices in fen, quantities in t.
    summary
        What `emex replay --json` prints: prices in CNY/t, volumes in t, fines in CNY, shares between 0 and 1. It may
        have besides: `modes`, what the market calls `listed`, `block` and `auction`, (English, Chinese) each, without
        the modes that it lacks; `symbol` of the main product; `projection`, whether the market never was;
        `parameters_from`, the season whose fitted parameters are used; `allocation`, rows of
        `sim.allocation.table.long_and_short`; `efficiency`, what `sim.reductions.Reductions.verdict`
        returns.
    announced
        Dates to mark: `date, title, title_zh, known_from`, dates as ISO text.
    parameters
        Every constant: `name, value, unit, kind, source, tuned, meaning`.

    Raises
    ------
    ValueError
        If the season has no firms (a null model), or a parameter is of an unknown kind.
    """
    if season.firms is None:
        raise ValueError("a report needs a season with firms, not one of the null model")
    modes = _modes(summary)
    sections = [
        headline(season, summary, modes),
        price_and_volume(season, announced, modes),
        monthly(season, summary),
        shares_of_modes(season, modes),
        spread_and_depth(season, announced),
        offsets(season, announced, summary.get("symbol", "allowance")),
        sales(season),
        long_and_short(summary),
        purchases(season, season.firms, announced),
        compliance(season, season.firms),
        achieved(season, summary),
        realism(summary),
        whereabouts(season),
        constants(parameters),
        repeat(summary, parameters, modes),
    ]
    title = {"en": summary["title"], "zh": summary["title_zh"]}
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
{say(title, "title")}
<style>{(HERE / "page.css").read_text("utf-8")}</style>
</head>
<body>
<header>{say(title, "h1")}
<button id="language" type="button" data-en="中文" data-zh="EN">中文</button></header>
<main>{"".join(sections)}</main>
<noscript>The charts and the language switch need JavaScript.</noscript>
<script>{get_plotlyjs()}</script>
<script>{(HERE / "page.js").read_text("utf-8")}</script>
</body>
</html>
"""
    path.write_text(page, "utf-8")
