"""The report: one finished season as one HTML page that needs neither network nor server.

    page        the page as a whole: what stands on it, in which order
    headline    one sentence and six figures
    trading     price, volume, modes, spread and depth
    beside      offsets traded beside the allowance; sales by the government
    firms       when they bought; compliance, and where every unit is
    reasons     who is long and short, and why; what the season achieved
    evidence    realism checks
    constants   every constant; how to repeat the season, and what the page is not
    elements, charts   HTML and plotly's dicts;  page.css, page.js   written into the page

Every text stands in English and Chinese, and is escaped. Nothing here may judge or measure a season (rows may be
grouped and added up for a chart): verdicts, figures and constants come in ready. Nor may it import the engine or the
agents. What a season does not have (a deadline, blocks, a record) has no section, or a sentence that says so.
"""

from sim.report.page import write_report

__all__ = ["write_report"]
