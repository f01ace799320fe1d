"""Settings are read anew; bad ones change nothing and say so."""

from pathlib import Path

import pytest

from exporter.app import collectors, model
from exporter.changes import Changes
from exporter.exposition.store import FragmentStore
from exporter.reload import METRICS, Reloader, SettingsReader
from exporter.settings import ExporterSettings
from exporter.shared.config import ConfigError, Problem
from tests.fake_clients import START, FakeClock


class World:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()
        self.followed: list[ExporterSettings] = []
        self.refuses = ""
        reader = SettingsReader(model(collectors()), path, {}, {"max_series": 7})
        self.reloader = Reloader(reader.read, self.follow, self.clock)

    async def follow(self, settings: ExporterSettings) -> Changes:
        if self.refuses:
            raise ConfigError([Problem("settings", 0, 0, self.refuses)])
        self.followed.append(settings)
        return Changes()

    def told(self) -> list[float]:
        store = FragmentStore(METRICS, max_series=10)
        store.open(METRICS).put("", self.reloader.samples())
        lines = store.document().text().decode().splitlines()
        return [float(line.split()[-1]) for line in lines if not line.startswith("#")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "exporter.yaml")


async def test_good_settings_are_followed_and_flags_win(world: World) -> None:
    world.path.write_text("max_series: 5\ncluster: other\n")
    world.clock.advance(60)
    assert await world.reloader.reload() == ()
    [settings] = world.followed
    assert (settings.max_series, settings.cluster) == (7, "other")
    assert world.told() == [1, START.timestamp() + 60]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("collectors: {postgress: {}}\n", 'did you mean "postgres"?'),
        ("cluster: [\n", "exporter.yaml:2:1:"),
    ],
)
async def test_bad_settings_change_nothing_and_say_so(world: World, text: str, told: str) -> None:
    world.path.write_text(text)
    world.clock.advance(60)
    [problem] = await world.reloader.reload()
    assert told in problem
    assert world.followed == []
    assert world.told() == [0, START.timestamp()]
    world.path.write_text("")
    await world.reloader.reload()
    assert world.told() == [1, START.timestamp() + 60]


async def test_a_file_that_is_gone_and_settings_that_cannot_be_followed_are_problems_too(
    world: World,
) -> None:
    [problem] = await world.reloader.reload()
    assert "exporter.yaml" in problem
    world.path.write_text("")
    world.refuses = "listen cannot change"
    [problem] = await world.reloader.reload()
    assert "listen cannot change" in problem
    assert world.told()[0] == 0
