"""Grafana's JSON of a dashboard, by Grafana's own builders; the same for the same dashboard."""

import json
from zlib import crc32

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, stat, timeseries
from grafana_foundation_sdk.builders import prometheus as prom
from grafana_foundation_sdk.builders import statetimeline as timeline
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as ui
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from typing_extensions import override

from charts.dashboards.board import (
    Bars,
    Board,
    Event,
    Heat,
    Lines,
    Number,
    Panel,
    Query,
    States,
    Variable,
)

RESPONDER_URL = "http://127.0.0.1:9843"
"""Where guides are served. The shipped rules name it too; the chart puts its own there."""
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
MARKS_STEP = "60s"
GOOD, BAD, BOUND, PLAIN = "green", "red", "dark-red", "blue"
TARGET = "target"


def text(board: Board) -> str:
    """Return the dashboard as a file: sorted and indented, so that changes can be read."""
    return json.dumps(_board(board), cls=JSONEncoder, sort_keys=True, indent=1) + "\n"


def _board(board: Board) -> model.Dashboard:
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags(list(board.tags))
        .time(board.since, "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()  # what is edited in Grafana would be lost with the next release
        .link(_others(board.tags[0]))
        .with_variable(source)
    )
    for variable in board.variables:
        made.with_variable(_variable(variable))
    for event in board.events:
        made.annotation(_Marks(event))
    for row in board.rows:
        made.with_row(dashboard.Row(row.title).id(_id(row.title)))
        for panel in row.panels:
            made.with_panel(_Panel(panel))
    built = made.build()
    for each in built.templating.list_val or ():
        # What only a variable of another type has: Grafana's own types refuse it here.
        each.auto = each.auto_min = each.auto_count = None
    return built


def _id(title: str) -> int:
    """Return a panel's number, from its title: links to it outlive the panels around it."""
    return crc32(title.encode()) & 0x7FFFFFFF


def _others(tag: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Other dashboards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([tag])
        .as_dropdown(as_dropdown=True)
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
    )


def _variable(variable: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query(variable.query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


class _MarksJson(model.AnnotationQuery):
    """An annotation of Prometheus, whose words Grafana's schema leaves to the data source."""

    def __init__(self, event: Event) -> None:
        super().__init__(
            name=event.name, datasource=SOURCE, icon_color=event.color, expr=event.expr
        )
        self._title = event.title

    @override
    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"step": MARKS_STEP, "titleFormat": self._title}


class _Marks(Builder[model.AnnotationQuery]):
    def __init__(self, event: Event) -> None:
        self._event = event

    @override
    def build(self) -> model.AnnotationQuery:
        return _MarksJson(self._event)


class _Panel(Builder[model.Panel]):
    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    @override
    def build(self) -> model.Panel:
        """Draw what is particular to the kind, then what all have in common."""
        panel = self._panel
        made = _drawn(panel)
        made.id_val = _id(panel.title)
        made.title = panel.title
        made.description = panel.about
        made.datasource = SOURCE
        made.grid_pos = model.GridPos(h=panel.height, w=panel.width)
        if made.field_config is not None:
            made.field_config.defaults.decimals = panel.decimals
            made.field_config.defaults.no_value = panel.absent or None
        made.links = [_guide(alert).build() for alert in panel.guides]
        made.targets = [
            _query(query, _letter(place), panel) for place, query in enumerate(panel.queries)
        ]
        if isinstance(panel, Lines) and panel.target:
            bound = Query(panel.target, TARGET)
            made.targets.append(_query(bound, _letter(len(panel.queries)), panel))
        return made


def _drawn(panel: Panel) -> model.Panel:
    match panel:
        case Lines():
            return _lines(panel)
        case Number():
            return _number(panel)
        case Heat():
            return _heat(panel)
        case States():
            return _states(panel)
        case Bars():
            return _bars(panel)
        case _:
            raise TypeError(f"nothing draws a {type(panel).__name__}")


def _guide(alert: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(f"Guide: {alert}")
        .type(model.DashboardLinkType.LINK)
        .url(f"{RESPONDER_URL}/guides/{alert}")
        .target_blank(target_blank=True)
    )


def _letter(place: int) -> str:
    """Return Grafana's name of a panel's query: A, B, C and so on."""
    return chr(ord("A") + place)


def _query(query: Query, letter: str, panel: Panel) -> Dataquery:
    made = (
        prom.Dataquery()
        .ref_id(letter)
        .datasource(SOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
    )
    if query.step:
        made.interval(query.step)
    if isinstance(panel, Heat):
        made.format(PromQueryFormat.HEATMAP)
    if isinstance(panel, Bars | Number):
        return made.instant().build()
    return made.range().build()


def _lines(panel: Lines) -> model.Panel:
    made = (
        timeseries.Panel()
        .unit(panel.unit)
        .fill_opacity(30 if panel.stacked else 0)
        .show_points(ui.VisibilityMode.NEVER)
        .tooltip(
            common.VizTooltipOptions()
            .mode(ui.TooltipDisplayMode.MULTI)
            .sort(ui.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .show_legend(show_legend=True)
            .display_mode(ui.LegendDisplayMode.TABLE)
            .placement(ui.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
    )
    if panel.low is not None:
        made.min(panel.low)
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(ui.StackingMode.NORMAL))
    if panel.target:
        made.override_by_name(TARGET, _dashed())
    return made.build()


def _dashed() -> list[model.DynamicConfigValue]:
    looks: dict[str, object] = {
        "color": {"mode": "fixed", "fixedColor": BOUND},
        "custom.lineStyle": {"fill": "dash", "dash": [8, 6]},
        "custom.fillOpacity": 0,
        "custom.stacking": {"mode": "none"},
    }
    return [model.DynamicConfigValue(name, value) for name, value in looks.items()]


def _number(panel: Number) -> model.Panel:
    return (
        stat.Panel()
        .unit(panel.unit)
        .thresholds(_thresholds(panel.bad_above, panel.bad_below))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .graph_mode(ui.BigValueGraphMode.NONE)
        .reduce_options(_last())
        .build()
    )


def _thresholds(above: float | None, below: float | None) -> dashboard.ThresholdsConfig:
    """Return the colours of a value; one that nothing is said of is neither good nor bad."""
    steps: list[tuple[float | None, str]] = [(None, PLAIN)]
    if above is not None:
        steps = [(None, GOOD), (above, BAD)]
    elif below is not None:
        steps = [(None, BAD), (below, GOOD)]
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value, color) for value, color in steps])
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def _heat(panel: Heat) -> model.Panel:
    return (
        heatmap.Panel()
        .calculate(calculate=False)  # the query brings its buckets
        .unit("short")
        .y_axis(heatmap.YAxisConfig().unit(panel.unit))
        .color(heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges"))
        .show_legend()
        .mode(ui.TooltipDisplayMode.SINGLE)
        .build()
    )


def _states(panel: States) -> model.Panel:
    yes, no = (GOOD, BAD) if panel.good else (BAD, GOOD)
    words = model.ValueMap(
        {
            "1": model.ValueMappingResult(text=panel.yes, color=yes, index=0),
            "0": model.ValueMappingResult(text=panel.no, color=no, index=1),
        }
    )
    return (
        timeline.Panel()
        .unit(panel.unit)
        .mappings([words])
        .merge_values(merge_values=True)
        .show_value(ui.VisibilityMode.NEVER)
        .row_height(0.8)
        .legend(
            common.VizLegendOptions()
            .show_legend(show_legend=True)
            .display_mode(ui.LegendDisplayMode.LIST)
            .placement(ui.LegendPlacement.BOTTOM)
        )
        .build()
    )


def _bars(panel: Bars) -> model.Panel:
    return (
        bargauge.Panel()
        .unit(panel.unit)
        .min(0)
        .thresholds(_thresholds(None, None))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .orientation(ui.VizOrientation.HORIZONTAL)
        .display_mode(ui.BarGaugeDisplayMode.BASIC)
        .reduce_options(_last())
        .build()
    )
