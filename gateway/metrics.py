"""What a venue's operator can measure: Prometheus metrics at /metrics, read from counters that exist anyway.

Only the time of a commit is observed as it happens; everything else is collected when somebody asks.
"""

import time
from collections.abc import Iterator, Sequence
from http.server import HTTPServer
from threading import Thread

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.desk.desk import Desk, JournalLike
from gateway.gatekeeper import Gatekeeper
from gateway.transports.bridge import Bridge
from gateway.transports.door import Door
from gateway.transports.mqtt import MqttServer

_COMMIT_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)


class TimedJournal:
    """A journal whose commits are timed."""

    def __init__(self, journal: JournalLike, registry: CollectorRegistry) -> None:
        self._journal = journal
        self._seconds = Histogram(
            "emex_commit_seconds", "Time of one durable commit", buckets=_COMMIT_BUCKETS, registry=registry
        )

    def append(self, payload: bytes, records: int, time_ns: int) -> int:
        """As the journal's own."""
        began = time.perf_counter()
        number = self._journal.append(payload, records, time_ns)
        self._seconds.observe(time.perf_counter() - began)
        return number


class VenueCollector(Collector):
    """Counters of desk, server and gatekeeper as Prometheus sees them."""

    def __init__(
        self,
        desk: Desk,
        server: MqttServer,
        gatekeeper: Gatekeeper,
        doors: Sequence[Door],
        bridge: Bridge | None = None,
    ) -> None:
        self._desk = desk
        self._server = server
        self._gatekeeper = gatekeeper
        self._doors = doors
        self._bridge = bridge

    def collect(self) -> Iterator[Metric]:
        """Called for every scrape."""
        desk, counters, exchange = self._desk, self._desk.counters, self._desk.replica.exchange
        yield CounterMetricFamily("emex_payloads", "Payloads received", counters.payloads)
        yield CounterMetricFamily("emex_requests", "Requests carried out and journaled", counters.requests)
        yield CounterMetricFamily("emex_duplicates", "Requests that came again and were answered again",
                                  counters.duplicates)  # fmt: skip
        yield CounterMetricFamily("emex_commits", "Durable commits", counters.commits)
        yield CounterMetricFamily("emex_disconnect_cancels", "Mass cancels after a broken connection",
                                  counters.disconnect_cancels)  # fmt: skip
        refused = CounterMetricFamily("emex_refused", "Payloads refused at the door", labels=["reason"])
        for reason, count in sorted(counters.refused.items()):
            refused.add_metric([reason.name], count)
        yield refused
        yield CounterMetricFamily("emex_events", "Events of the engine", exchange.event_seq)
        yield GaugeMetricFamily("emex_backlog", "Requests that wait for their turn", desk.backlog)
        yield GaugeMetricFamily("emex_connections", "Open connections", len(self._server.connections))
        yield CounterMetricFamily("emex_connections_cut", "Connections cut because they did not read", self._server.cut)
        turned_away = self._server.turned_away + sum(door.turned_away for door in self._doors)
        yield CounterMetricFamily("emex_connections_turned_away", "Connections closed at once: too many", turned_away)
        yield CounterMetricFamily("emex_protocol_errors", "Connections closed because of what they sent",
                                  self._server.refused_packets)  # fmt: skip
        logons = CounterMetricFamily("emex_logons", "Attempts to log on", labels=["outcome"])
        for outcome in ("admitted", "wrong", "locked", "busy"):
            logons.add_metric([outcome], getattr(self._gatekeeper, outcome))
        yield logons
        yield CounterMetricFamily("emex_password_hashes", "Passwords hashed", self._gatekeeper.hashes)
        if self._bridge is not None:
            yield GaugeMetricFamily("emex_broker_connected", "1: at the broker", int(self._bridge.connected.is_set()))
            yield CounterMetricFamily("emex_broker_arrivals", "Connections to the broker", self._bridge.arrivals)
            yield CounterMetricFamily("emex_broker_dropped", "Messages not sent: the broker was away or slow",
                                      self._bridge.dropped)  # fmt: skip
            yield CounterMetricFamily("emex_broker_ignored", "Payloads from nobody known, or kept by the broker",
                                      self._bridge.ignored)  # fmt: skip
        yield GaugeMetricFamily("emex_journal_failed", "1: the journal cannot be written", int(desk.failed is not None))


def serve_metrics(registry: CollectorRegistry, address: str, port: int) -> tuple[HTTPServer, Thread]:
    """An HTTP server for /metrics in a thread of its own; stop it with `shutdown`."""
    server, thread = start_http_server(port, address, registry)
    return server, thread
