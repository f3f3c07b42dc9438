"""Counters as values, and the text that Prometheus reads."""

from __future__ import annotations

import re

import pytest

from actors.core.exposition import BUCKETS, FAMILIES, Meter, Sample, merge, render


def lines(meter: Meter) -> list[str]:
    """The text without help and type."""
    return [line for line in render(meter.samples()).splitlines() if not line.startswith("#")]


def test_counters_add_up_and_gauges_are_set() -> None:
    """By name and labels, in an order that does not depend on when they were counted."""
    meter = Meter()
    meter.count("heat_requests_total", kind="get")
    meter.count("heat_requests_total", 2, kind="create")
    meter.count("heat_requests_total", kind="get")
    meter.set("queue_depth", 5)
    meter.set("queue_depth", 3)
    assert lines(meter) == [
        "gatewright_queue_depth 3",
        'gatewright_heat_requests_total{kind="create"} 2',
        'gatewright_heat_requests_total{kind="get"} 2',
    ]


def test_histograms_are_cumulative_and_end_at_infinity() -> None:
    """An observation counts in its bucket and all above; the sum and the count are those of all."""
    meter = Meter()
    for seconds in (0.004, 0.005, 0.3, 9999.0):
        meter.observe("drift_seconds", seconds)
    text = "\n".join(lines(meter))
    counts = [int(n) for n in re.findall(r'_bucket{le="[^"]+"} (\d+)', text)]
    assert counts == sorted(counts)
    assert len(counts) == len(BUCKETS) + 1
    assert 'gatewright_drift_seconds_bucket{le="0.005"} 2' in text
    assert 'gatewright_drift_seconds_bucket{le="+Inf"} 4' in text
    assert "gatewright_drift_seconds_count 4" in text
    assert float(re.findall(r"_sum (\S+)", text)[0]) == pytest.approx(9999.309)


def test_processes_are_put_together() -> None:
    """Counters and histograms of several processes add up; the oldest age is the largest one."""
    first, second = Meter(), Meter()
    for meter, number in ((first, 1.0), (second, 2.0)):
        meter.count("finished_total", number, outcome="completed")
        meter.observe("drift_seconds", number)
        meter.set("stage_oldest_seconds", number, stage="running")
    text = render(merge([*first.samples(), *second.samples()]))
    assert 'gatewright_finished_total{outcome="completed"} 3' in text
    assert "gatewright_drift_seconds_sum 3" in text
    assert 'gatewright_stage_oldest_seconds{stage="running"} 2' in text


def test_of_what_several_processes_know_the_worst_is_shown() -> None:
    """One shard that has not caught up makes `ready` 0, and problems that all see are counted once."""
    first, second = Meter(), Meter()
    for meter, ready in ((first, 1.0), (second, 0.0)):
        meter.set("ready", ready)
        meter.set("problems", 3)
        meter.set("etcd_up", 1)
    text = render(merge([*first.samples(), *second.samples()]))
    assert "gatewright_ready 0\n" in text
    assert "gatewright_problems 3\n" in text
    assert "gatewright_etcd_up 1\n" in text


def test_labels_cannot_break_the_format() -> None:
    """Quotes, backslashes and line breaks in a label are escaped."""
    text = render([Sample("resources", (("stage", 'a"b\\c\nd'),), 1.0)])
    assert 'stage="a\\"b\\\\c\\nd"' in text


def test_every_family_is_announced_once_with_help_and_type() -> None:
    """Whatever is sampled; what is not known cannot be."""
    samples = [Sample(name, (), 1.0) for name, (kind, _) in FAMILIES.items() if kind != "histogram"]
    text = render(samples)
    assert text.count("# TYPE") == text.count("# HELP") == len(samples)
    with pytest.raises(AssertionError):
        Meter().count("nonsense_total")
