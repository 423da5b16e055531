# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SERVICE_ keys: which are read, and which of two wins."""

from __future__ import annotations

import pytest
from registrator.metadata import LONGEST_VALUE, MOST_KEYS, for_port, pairs, split_list


@pytest.mark.parametrize(
    "environment, labels, wanted",
    [
        (["SERVICE_NAME=env"], {"SERVICE_NAME": "label"}, "label"),
        (["SERVICE_80_NAME=env"], {"SERVICE_NAME": "label"}, "env"),
        (["SERVICE_80_NAME=env", "SERVICE_NAME=later"], {}, "env"),
        (["SERVICE_NAME=one", "SERVICE_NAME=two"], {}, "two"),
        (["SERVICE_443_NAME=other"], {}, ""),
        (["SERVICE_080_NAME=z", "SERVICE_+80_NAME=z", "SERVICE_-80_NAME=z"], {}, ""),
        (["service_NAME=z", "XSERVICE_NAME=z", "SERVICE_NAME"], {}, ""),
        (["SERVICE_Name=mixed"], {}, "mixed"),
        (["SERVICE_NAME=a=b"], {}, "a=b"),
    ],
)
def test_the_stronger_wins(environment: list, labels: dict, wanted: str) -> None:
    assert for_port(pairs(environment, labels)[0], "80").get("name") == wanted


def test_a_name_that_begins_with_a_number_is_another_ports() -> None:
    values = for_port(pairs(["SERVICE_3_SCALE=x", "SERVICE_80=y", "SERVICE_=z"], {})[0], "80")
    assert values.values == {"80": "y", "": "z"}


def test_only_what_names_the_port_is_marked_as_such() -> None:
    values = for_port(pairs(["SERVICE_80_NAME=a", "SERVICE_TAGS=b"], {})[0], "80")
    assert values.for_port == {"name"}


@pytest.mark.parametrize(
    "environment, protocol, wanted",
    [
        (["SERVICE_53_UDP_NAME=precise", "SERVICE_53_NAME=port", "SERVICE_50-60_NAME=range", "SERVICE_NAME=any"], "udp", "precise"),
        (["SERVICE_53_UDP_NAME=precise", "SERVICE_53_NAME=port", "SERVICE_50-60_NAME=range", "SERVICE_NAME=any"], "tcp", "port"),
        (["SERVICE_50-60_NAME=range", "SERVICE_NAME=any"], "tcp", "range"),
        (["SERVICE_54-60_NAME=range", "SERVICE_NAME=any"], "tcp", "any"),
        (["SERVICE_53-53_NAME=range"], "tcp", "range"),
        (["SERVICE_53_TCP_NAME=tcp"], "udp", ""),
    ],
)
def test_the_more_precise_wins(environment: list, protocol: str, wanted: str) -> None:
    assert for_port(pairs(environment, {})[0], "53", protocol).get("name") == wanted


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("", []),
        ("a,b,c", ["a", "b", "c"]),
        (",a,,b,", ["a", "b"]),
        (r"a\,b,c", ["a,b", "c"]),
        (r"a\\,b", [r"a\,b"]),
        ("a\\", ["a\\"]),
        (" a , b", [" a ", " b"]),
    ],
)
def test_lists(text: str, wanted: list) -> None:
    assert split_list(text) == wanted


def test_not_more_keys_than_are_read_and_none_too_long() -> None:
    found, warnings = pairs([f"SERVICE_K{number}=x" for number in range(MOST_KEYS)], {"SERVICE_LAST": "x"})
    assert (len(found), len(warnings)) == (MOST_KEYS, 1)
    assert pairs(["SERVICE_LONG=" + "x" * (LONGEST_VALUE + 1)], {})[0] == []


def test_a_long_list_is_split_in_one_go() -> None:
    assert split_list("a\\,," * 100_000) == ["a,"] * 100_000
