from collections.abc import Iterator

from prometheus_client.core import Metric

from pybernetes.component.metrics import Histogram, Metrics, counter, gauge, histogram, labelled


def test_a_histogram_counts_what_is_not_above_each_limit() -> None:
    taken = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        taken.observe(value)
    assert taken.cumulative() == [("0.1", 2), ("1.0", 3), ("+Inf", 4)]
    assert taken.sum == 7.65


def test_metrics_are_what_they_are_when_asked_for() -> None:
    writes = 0
    taken = Histogram((0.5,))

    def collect() -> Iterator[Metric]:
        yield counter("writes_total", "Writes.", writes)
        yield gauge("proposals_total", "A gauge that is called a total.", writes * 2)
        yield labelled("id", "Who.", ("server",), [(("a",), 1)])
        yield histogram("taken_seconds", "How long.", taken)

    metrics = Metrics(collect)
    before = metrics.text().decode().splitlines()
    writes = 7
    taken.observe(0.25)
    after = metrics.text().decode().splitlines()
    assert "writes_total 0.0" in before
    assert "# TYPE proposals_total gauge" in after
    for line in (
        *("writes_total 7.0", "proposals_total 14.0", 'id{server="a"} 1.0'),
        *('taken_seconds_bucket{le="0.5"} 1.0', "taken_seconds_count 1.0"),
        "taken_seconds_sum 0.25",
    ):
        assert line in after
    assert any(line.startswith("process_resident_memory_bytes") for line in after)
