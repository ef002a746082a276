"""Counters for Prometheus. No number and no id is ever a label. https://prometheus.io/docs/practices/naming/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST

TYPE: Final = CONTENT_TYPE_LATEST
#: What one process has counted: name, labels and value of each sample that can be added up.
Counts = list[tuple[str, list[tuple[str, str]], float]]

# Else an environment variable that is meant for other programs has it write each count into their files.
values.ValueClass = values.MutexValue
_SECONDS: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0, 8.0)


class Metrics:
    """One process's counters. `active` and `minutes` are asked when somebody looks."""

    def __init__(self, active: Callable[[], float], minutes: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        at: dict[str, Any] = {"registry": self._registry}
        self._webhooks = Counter("uvcall_webhooks", "Webhooks answered.", ("carrier", "result"), **at)
        self._forged = Counter("uvcall_signature_failures", "Not signed.", ("carrier", "reason"), **at)
        self._create = Histogram("uvcall_ultravox_create_seconds", "Create Call.", buckets=_SECONDS, **at)
        self._answer = Histogram("uvcall_answer_seconds", "Webhook to document.", buckets=_SECONDS, **at)
        self._fallback = Counter("uvcall_fallback", "No agent could be had.", ("reason",), **at)
        self._shed = Counter("uvcall_shed", "Turned away by overload.", **at)
        Gauge("uvcall_active_calls", "Calls whose end is not known.", **at).set_function(active)
        Gauge("uvcall_minutes_today", "Minutes of conversation today, UTC.", **at).set_function(minutes)
        self._results: dict[tuple[str, str], Any] = {}

    def take(self, event: str, facts: dict[str, Any]) -> None:
        """Count what has happened."""
        carrier = facts.get("carrier", "")
        match event:
            case "answered":
                self._count(carrier, facts["result"].partition(":")[0].replace(" ", "_"))
                self._answer.observe(facts["seconds"])
            case "created":
                self._create.observe(facts["seconds"])
            case "forged":
                self._count(carrier, "forged")
                self._forged.labels(carrier, _kind(facts["reason"])).inc()
            case "malformed" | "duplicate":
                self._count(carrier, event)
            case "fallback":
                self._fallback.labels(facts["reason"].replace(" ", "_")).inc()
            case "shed":
                self._count(carrier, "shed")
                self._shed.inc()

    def text(self, others: Iterable[Counts] = ()) -> bytes:
        """Return all of it as Prometheus reads it, with what other processes have counted."""
        return generate_latest(_Sum(self._registry, others))

    def counts(self) -> Counts:
        """Return what can be added up. Gauges look at what all processes share."""
        return [
            (sample.name, sorted(sample.labels.items()), sample.value)
            for family in self._registry.collect()
            if family.type != "gauge"
            for sample in family.samples
        ]

    def _count(self, carrier: str, result: str) -> None:
        found = self._results.get((carrier, result))
        if found is None:
            found = self._results[carrier, result] = self._webhooks.labels(carrier, result)
        found.inc()


class _Sum(CollectorRegistry):
    """A registry's counts and those of others."""

    def __init__(self, own: CollectorRegistry, others: Iterable[Counts]) -> None:
        super().__init__()
        self._own = own
        self._more: dict[str, dict[tuple[tuple[str, str], ...], list[float]]] = {}
        for name, labels, value in (one for other in others for one in other):
            found = self._more.setdefault(name, {})
            found.setdefault(tuple((key, word) for key, word in labels), []).append(value)

    def collect(self) -> Iterator[Metric]:
        """Yield each family, summed up."""
        for family in self._own.collect():
            yield family if family.type == "gauge" else self._summed(family)

    def _summed(self, family: Metric) -> Metric:
        found = {(one.name, tuple(sorted(one.labels.items()))): [one.value] for one in family.samples}
        ends = ("_total", "_created") if family.type == "counter" else ("_bucket", "_count", "_sum", "_created")
        for end in ends:
            for labels, more in self._more.get(family.name + end, {}).items():
                found.setdefault((family.name + end, labels), []).extend(more)
        family.samples = []
        for (name, labels), each in found.items():
            # Since when it counts is no count: the first of them.
            family.add_sample(name, dict(labels), min(each) if name.endswith("_created") else sum(each))
        return family


def _kind(reason: str) -> str:
    """Return one of few words for why a signature failed: labels must not multiply."""
    words = {"missing": "missing", "clock": "expired", "does not match": "wrong"}
    return next((word for text, word in words.items() if text in reason), "malformed")
