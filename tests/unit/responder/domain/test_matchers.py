import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.matchers import Matcher, MatchOp, parse_matcher, parse_matchers

LABEL = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True)
EXACT = st.builds(Matcher, LABEL, st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), st.text())


@given(st.lists(EXACT, min_size=1, max_size=4))
def test_what_is_written_is_read_back_equal(matchers: list[Matcher]) -> None:
    assert parse_matchers(",".join(map(str, matchers))) == tuple(matchers)


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ('a="b",c=~"d|e"', [("a", "=", "b"), ("c", "=~", "d|e")]),
        (
            '{ severity = "critical" , x!~"a\\"b,c" , }',
            [("severity", "=", "critical"), ("x", "!~", 'a"b,c')],
        ),
        ("severity=critical", [("severity", "=", "critical")]),
        (r'host=~"web\.example"', [("host", "=~", r"web\.example")]),
        (r'text="one\ntwo\\three"', [("text", "=", "one\ntwo\\three")]),
        ('a!="b"', [("a", "!=", "b")]),
    ],
)
def test_the_forms_that_alertmanager_accepts(
    text: str, matchers: list[tuple[str, str, str]]
) -> None:
    wanted = tuple(Matcher(label, MatchOp(op), value) for label, op, value in matchers)
    assert parse_matchers(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("severity", """'severity' is not a matcher; write it as label="value" or label=~"a|b\""""),
        ('a="b', "'a=\"b' has no value that can be read after ="),
        ('a="b" c="d"', "needs a comma before 'c=\"d\"'"),
        ('a=~"("', '"(" is not a regular expression'),
        ("{}", "an empty matcher list"),
        ('a="b",,c="d"', "is not a matcher"),
        ('"a"="b"', "is not a matcher"),
    ],
)
def test_what_is_no_matcher_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_matchers(text)
    assert message in str(caught.value)


def test_one_matcher_is_not_a_list_of_two() -> None:
    with pytest.raises(ValueError, match="is not one matcher"):
        parse_matcher('a="b",c="d"')


@pytest.mark.parametrize(
    ("matcher", "labels", "matches"),
    [
        ('a="b"', {"a": "b"}, True),
        ('a=""', {}, True),
        ('a!="b"', {}, True),
        ('a=~"b|bc"', {"a": "bc"}, True),
        ('a=~"b"', {"a": "bc"}, False),
        ('a=~".+"', {}, False),
        ('a!~"b.*"', {"a": "bc"}, False),
        ('a!~"b.*"', {}, True),
    ],
)
def test_regexes_are_anchored_and_a_missing_label_is_empty(
    matcher: str,
    labels: dict[str, str],
    matches: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert parse_matcher(matcher).matches(labels) is matches


def test_a_refusal_names_what_was_found_and_what_was_wanted() -> None:
    matcher = parse_matcher('severity="critical"')
    assert matcher.refusal({"severity": "warning"}) == 'severity is "warning", wanted "critical"'
    assert matcher.refusal({}) == 'it has no label severity, wanted "critical"'
