"""Exporter: can its figures be believed, and if not, which source is to blame."""

from charts.dashboards.board import (
    ALERTS,
    Bars,
    Board,
    Lines,
    Number,
    Query,
    Row,
    States,
    Variable,
    age,
    gauge,
    highest,
    how_many,
    increase,
    least,
    rare,
    rate,
)

CHOSEN = 'collector=~"$collector"'
SOURCE = ("collector", "source")
NAME = "{{collector}}/{{source}}"
ITSELF = "on (job, instance) group_left () max by (job, instance) (kpi_exporter_build_info)"
"""Picks the exporter out of what Prometheus says of everything that it scrapes."""

NOW = Row(
    "Can the figures be believed?",
    (
        Number(
            title="Exporters scraped",
            about="0: every other figure is old.",
            unit="short",
            queries=(Query(how_many("kpi_exporter_build_info"), "exporters"),),
            bad_below=1,
            guides=("KpiExporterAbsent",),
        ),
        Number(
            title="Sources that fail",
            about="Their series are kept for a while and then dropped, never made up.",
            unit="short",
            queries=(Query(how_many(f"{least('kpi_source_up', *SOURCE)} == 0"), "failing"),),
            bad_above=1,
            guides=("KpiSourceDown",),
        ),
        Number(
            title="Oldest success, in intervals",
            about="Above 3 a source's series are stale.",
            unit="short",
            queries=(
                Query(
                    "max(("
                    + age("kpi_source_last_success_timestamp_seconds", *SOURCE)
                    + ") / "
                    + gauge("kpi_source_interval_seconds", *SOURCE)
                    + ")",
                    "intervals",
                ),
            ),
            bad_above=3,
            guides=("KpiSourceStale",),
        ),
        Number(
            title="Series published",
            about="Of all sources.",
            unit="short",
            queries=(Query(f"sum({gauge('kpi_source_series', *SOURCE)})", "series"),),
        ),
        Number(
            title="Series left out",
            about="In an hour, since a source reached max_series: raise it, or ask for less.",
            unit="short",
            queries=(
                Query(
                    f"sum({increase('kpi_source_series_dropped_total', *SOURCE, window='1h')})",
                    "left out",
                ),
            ),
            bad_above=1,
            guides=("KpiSeriesDropped",),
        ),
        Number(
            title="Memory",
            about="Of the largest exporter.",
            unit="bytes",
            queries=(Query(f"max(process_resident_memory_bytes * {ITSELF})", "resident"),),
        ),
        States(
            title="Which source fails, and since when?",
            about="Each source by itself: the others go on.",
            unit="short",
            queries=(Query(least("kpi_source_up", *SOURCE, where=CHOSEN), NAME),),
            yes="up",
            no="failing",
            guides=("KpiSourceDown", "KpiSourceStale"),
        ),
    ),
)

FAILURES = Row(
    "Why do sources fail?",
    (
        Lines(
            title="Failures by reason",
            about="Deadline: too slow. Permanent, refused: a missing right or a wrong setting.",
            unit="short",
            queries=(
                Query(
                    # Why a watch of the Kubernetes API broke off is counted from its first time on.
                    rare("kpi_source_failures_total", *SOURCE, "reason", where=CHOSEN),
                    NAME + " {{reason}}",
                ),
            ),
            stacked=True,
        ),
        Lines(
            title="Age of the last success",
            about="A saw-tooth as high as the source's interval is healthy.",
            unit="s",
            queries=(
                Query(
                    age("kpi_source_last_success_timestamp_seconds", *SOURCE, where=CHOSEN), NAME
                ),
            ),
        ),
        Bars(
            title="Statistics that a database refuses",
            about="The rest of the source is told. Most often a missing grant or extension.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_postgres_part_absent", "database", "part", "reason"),
                    "{{database}} {{part}}: {{reason}}",
                ),
                Query(
                    gauge("kpi_pgbouncer_part_absent", "pgbouncer", "part"),
                    "{{pgbouncer}} {{part}}",
                ),
            ),
        ),
        Lines(
            title="Pages of pods that could not be read",
            about="What such a pod counted comes with its next page.",
            unit="short",
            queries=(
                Query(
                    increase(
                        "kpi_application_page_failures_total", "namespace", "workload", "reason"
                    ),
                    "{{namespace}}/{{workload}} {{reason}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

COST = Row(
    "What does looking cost?",
    (
        Lines(
            title="Time of a source's pass",
            about="Near its timeout: it will soon fail.",
            unit="s",
            queries=(Query(gauge("kpi_source_duration_seconds", *SOURCE, where=CHOSEN), NAME),),
        ),
        Lines(
            title="Passes per second",
            about="Falling: sources back off, since they fail.",
            unit="ops",
            queries=(Query(rate("kpi_source_attempts_total", *SOURCE, where=CHOSEN), NAME),),
            stacked=True,
        ),
        Lines(
            title="Series by source",
            about="A sudden rise: something has too many names.",
            unit="short",
            queries=(Query(gauge("kpi_source_series", *SOURCE, where=CHOSEN), NAME),),
            stacked=True,
        ),
        Lines(
            title="Series left out over time",
            about="Too many of one source, or published by another one already.",
            unit="short",
            queries=tuple(
                Query(
                    increase(f"kpi_source_series_{word}_total", *SOURCE, where=CHOSEN),
                    f"{NAME} {word}",
                )
                for word in ("dropped", "duplicate")
            ),
            stacked=True,
        ),
        Bars(
            title="Largest sources",
            about="By series, the ten largest.",
            unit="short",
            queries=(Query(highest(10, gauge("kpi_source_series", *SOURCE, where=CHOSEN)), NAME),),
        ),
        Lines(
            title="CPU of the exporter",
            about="Cores.",
            unit="short",
            queries=(
                Query(
                    f"rate(process_cpu_seconds_total[$__rate_interval]) * {ITSELF}", "{{instance}}"
                ),
            ),
        ),
    ),
)

SCRAPES = Row(
    "Does Prometheus get its pages?",
    (
        Lines(
            title="Time of a scrape",
            about="As Prometheus measures it; nothing is collected in it.",
            unit="s",
            queries=(Query(f"scrape_duration_seconds * {ITSELF}", "{{instance}}"),),
            width=8,
        ),
        Lines(
            title="Samples of a scrape",
            about="What Prometheus keeps of a page.",
            unit="short",
            queries=(Query(f"scrape_samples_scraped * {ITSELF}", "{{instance}}"),),
            width=8,
        ),
        Lines(
            title="Scrapes refused",
            about="Busy: too many at once. Not ready: nothing was rendered in time.",
            unit="short",
            queries=(
                Query(
                    "sum by (instance, reason)"
                    " (increase(kpi_exporter_scrape_failures_total[$__rate_interval]))",
                    "{{instance}} {{reason}}",
                ),
            ),
            stacked=True,
            width=8,
            guides=("KpiScrapesFailing",),
        ),
        Lines(
            title="How long was the exporter held up while it probed?",
            about="Probes that time out meanwhile are suspect, and say nothing of their target.",
            unit="s",
            queries=(Query(gauge("kpi_probe_loop_lag_seconds", "probe"), "{{probe}}"),),
        ),
        Lines(
            title="Probes that say nothing",
            about="Suspect: the exporter was held up. They count neither as success nor failure.",
            unit="short",
            queries=(Query(increase("kpi_probe_suspects_total", "probe"), "{{probe}}"),),
        ),
    ),
)

BOARD = Board(
    uid="runbookd-exporter",
    title="Exporter",
    about="Can the exporter's figures be believed, and if not, which source is to blame?",
    rows=(NOW, FAILURES, COST, SCRAPES),
    variables=(Variable("collector", "Collector", "label_values(kpi_source_up, collector)"),),
    events=(ALERTS,),
)
