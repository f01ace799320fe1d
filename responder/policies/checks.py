"""What no single line of a policy shows: names that lead nowhere, and runbooks never reached."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

from exporter.shared.config import Problem, Trail, nearest
from responder.domain.matchers import Matcher, MatchOp
from responder.domain.policy import Level, Runbook
from responder.policies.files import Source

RECEIVERS = "receivers"
"""Parameter by which an action names receivers."""


@dataclass(frozen=True, slots=True)
class Written:
    """A runbook and where it is written."""

    source: Source
    trail: Trail
    runbook: Runbook
    readable: bool
    """False when some of its matchers could not be read."""

    @property
    def place(self) -> str:
        """Return `file:line` of its name."""
        return self.source.place((*self.trail, "name"))

    def wrong(self, key: str, message: str) -> Problem:
        """Point at one of its keys' values."""
        return self.source.wrong((*self.trail, key), message)


@dataclass(frozen=True, slots=True)
class WrittenLevel:
    """An escalation level and where it is written."""

    source: Source
    trail: Trail
    level: Level


def unknown(noun: str, word: str, known: Iterable[str]) -> str:
    """Say that `word` is not `noun`, with the nearest that is; empty when it is known."""
    known = tuple(known)
    return "" if word in known else f'"{word}" is not {noun}; {nearest(word, known)}'


def sections_in_one_file(sources: Sequence[Source]) -> Iterator[Problem]:
    """Find sections that stand in a second file: which one counts would depend on file names."""
    for section in ("targets", "escalation", "gate"):
        holders = [source for source in sources if source.document.has((section,))]
        for other in holders[1:]:
            first = holders[0].place((section,))
            message = f"{section} may stand in one file only and stands at {first} too"
            yield other.wrong((section,), message, key=True)


def names(sources: Sequence[Source], written: Sequence[Written]) -> Iterator[Problem]:
    """Find runbooks that share a name, or that name a target or escalation that is not there."""
    targets = {name for source in sources for name in source.content.targets}
    escalations = {name for source in sources for name in source.content.escalation}
    first: dict[str, Written] = {}
    for item in written:
        runbook = item.runbook
        earlier = first.setdefault(runbook.name, item)
        if earlier is not item:
            message = f'runbook "{runbook.name}" is there twice, first at {earlier.place}'
            yield item.wrong("name", message)
        if message := unknown("one of the targets", runbook.target, targets):
            yield item.wrong("target", message)
        # A missing default is one mistake; `levels` tells it once.
        if message := unknown(
            "one of the escalations", runbook.escalation, escalations | {"default"}
        ):
            yield item.wrong("escalation", message)


def unreachable(written: Sequence[Written]) -> Iterator[Problem]:
    """Find runbooks whose every alert is taken by an earlier one: the first that matches wins."""
    readable = [item for item in written if item.readable]
    for index, later in enumerate(readable):
        for earlier in readable[:index]:
            if all(_implied(each, later.runbook.matchers) for each in earlier.runbook.matchers):
                message = (
                    f'runbook "{later.runbook.name}" is never reached: every alert that it matches '
                    f'is taken by "{earlier.runbook.name}" at {earlier.place}'
                )
                yield later.wrong("match", message)
                break


def _implied(matcher: Matcher, by: Sequence[Matcher]) -> bool:
    """Say whether labels that match all of `by` surely match `matcher` (no guess is a yes)."""
    return matcher in by or any(
        other.op is MatchOp.EQUAL
        and other.label == matcher.label
        and matcher.matches({other.label: other.value})
        for other in by
    )


def levels(
    sources: Sequence[Source], escalations: Mapping[str, Sequence[WrittenLevel]]
) -> Iterator[Problem]:
    """Find escalations that tell nobody, or whose levels do not follow one another."""
    if "default" not in escalations and sources:
        message = "escalation.default is missing: nobody would hear of alerts without a runbook"
        yield sources[0].wrong(("escalation",), message)
    for source in sources:
        for name, rows in source.content.escalation.items():
            if not rows:
                yield source.wrong(("escalation", name), f"escalation.{name} has no level")
    for levels_of_one in escalations.values():
        for before, row in pairwise(levels_of_one):
            if row.level.after <= before.level.after:
                message = "a level must come later than the one before it"
                yield row.source.wrong((*row.trail, "after"), message)


def receivers(
    written: Sequence[Written],
    escalations: Mapping[str, Sequence[WrittenLevel]],
    known: AbstractSet[str],
) -> Iterator[Problem]:
    """Find names of receivers that the settings do not have."""
    for rows in escalations.values():
        for row in rows:
            yield from _receivers(row.source, (*row.trail, "notify"), row.level.notify, known)
    for item in written:
        raw = item.source.document.at((*item.trail, "steps"))
        for index, step in enumerate(raw if isinstance(raw, list) else []):
            for action, params in step.items() if isinstance(step, dict) else ():
                listed = params.get(RECEIVERS) if isinstance(params, dict) else None
                if isinstance(listed, list):
                    trail = (*item.trail, "steps", index, action, RECEIVERS)
                    yield from _receivers(item.source, trail, listed, known)


def _receivers(
    source: Source, trail: Trail, listed: Sequence[object], known: AbstractSet[str]
) -> Iterator[Problem]:
    for index, name in enumerate(listed):
        if message := unknown("a receiver of the settings", str(name), known):
            yield source.wrong((*trail, index), message)
