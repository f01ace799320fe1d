"""The bed's DNS server, byte by byte."""

import struct

import pytest

from tests.bed.cluster.real.names import A, answer, of_service, question

AAAA = 28


def ask(name: str, kind: int = A) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        b"\x12\x34"
        + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0)
        + labels
        + b"\0"
        + (struct.pack("!HH", kind, 1))
    )


def test_a_question_is_read_without_regard_to_case() -> None:
    message = ask("Shop.default.svc.cluster.local")
    assert question(message + b"more") == ("shop.default.svc.cluster.local", A, len(message))


@pytest.mark.parametrize("message", [b"", b"\0" * 12, ask("a.b")[:15]])
def test_what_is_no_question_is_refused(message: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error)):
        question(message)


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("shop.web.svc.cluster.local", ("web", "shop")),
        ("svc.cluster.local", None),
        ("a.shop.web.svc.cluster.local", None),
        ("mail.example.com", None),
        ("shop.web", None),
    ],
)
def test_only_the_name_of_a_service_is_one(name: str, service: tuple[str, str] | None) -> None:
    assert of_service(name) == service


def test_an_address_is_given_to_who_asks_for_it() -> None:
    asked = ask("shop.web.svc.cluster.local")
    given = answer(asked, A, "198.19.0.200")
    assert given[:2] == asked[:2]
    assert struct.unpack_from("!HHHHH", given, 2) == (0x8580, 1, 1, 0, 0)
    assert given.endswith(b"\x00\x04" + bytes([198, 19, 0, 200]))


def test_no_other_record_and_no_other_name_is_known() -> None:
    asked = ask("shop.web.svc.cluster.local", AAAA)
    assert struct.unpack_from("!HHHHH", answer(asked, AAAA, "198.19.0.200"), 2) == (
        0x8580,
        1,
        0,
        0,
        0,
    )
    assert struct.unpack_from("!HHHHH", answer(asked, A, None), 2) == (0x8583, 1, 0, 0, 0)
