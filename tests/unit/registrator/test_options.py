# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the command line gives, and which are refused."""

from __future__ import annotations

import pytest
from registrator.flags import UsageError
from registrator.options import OptionError, Options, from_command_line


def test_nothing_but_an_uri_gives_the_defaults() -> None:
    options = from_command_line(["consul://127.0.0.1:8500"])
    assert options == Options(registry="consul://127.0.0.1:8500", tags=options.tags)
    assert options.tags.text == ""


def test_every_flag_reaches_its_option() -> None:
    words = "-ip 1.2.3.4 -internal -explicit -useIpFromLabel net -tags a,b -ttl 30 -ttl-refresh 10 -resync 60"
    words += " -deregister on-success -retry-attempts -1 -retry-interval 500 -cleanup"
    words += " -address-from eth0 -opt-in -name-from service -health-checks -health-ttl 30 -on-exit maintenance"
    words += " -on-container-stop deregister -listen 127.0.0.1:1 -log-format json -owner h-1 -allowed-names app-*,web -script-checks consul:"
    options = from_command_line(words.split())
    assert options.tags.text == "a,b"
    assert options == Options(
        "consul:",
        "1.2.3.4",
        True,
        True,
        "net",
        options.tags,
        30,
        10,
        60,
        "on-success",
        -1,
        0.5,
        True,
        "eth0",
        True,
        "service",
        True,
        30,
        "maintenance",
        "deregister",
        "127.0.0.1:1",
        "json",
        "h-1",
        ("app-*", "web"),
        True,
    )


@pytest.mark.parametrize(
    "words, message",
    [
        ("-ttl 30 consul:", "-ttl and -ttl-refresh must be specified together or not at all"),
        ("-ttl-refresh 30 consul:", "-ttl and -ttl-refresh must be specified together or not at all"),
        ("-ttl 30 -ttl-refresh 30 consul:", "-ttl must be greater than -ttl-refresh"),
        ("-retry-interval 0 consul:", "-retry-interval must be greater than 0"),
        ("-deregister never consul:", '-deregister must be "always" or "on-success"'),
        ("-name-from label consul:", '-name-from must be "image", "container" or "service"'),
        ("-on-exit leave consul:", '-on-exit must be "keep", "maintenance" or "deregister"'),
        ("-log-format xml consul:", '-log-format must be "text" or "json"'),
        ("-listen 9810 consul:", "-listen must be an address and a port, such as 127.0.0.1:9810"),
        ("-listen 127.0.0.1:70000 consul:", "-listen must be an address and a port, such as 127.0.0.1:9810"),
        ("-health-ttl 1 consul:", "-health-ttl must be at least 5"),
        ("-owner a/b consul:", "-owner must be at most 128 letters, digits and . _ - : signs"),
        ("-tags {{nope}} consul:", '-tags: function "nope" not defined'),
    ],
)
def test_a_contradiction_is_refused(words: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        from_command_line(words.split())
    assert str(error.value) == message


@pytest.mark.parametrize(
    "words, beginning",
    [
        ([], "Missing required argument for registry URI."),
        (["consul:", "-cleanup"], "Extra unparsed arguments:\n  consul:\n  -cleanup\nOptions should come before"),
    ],
)
def test_the_uri_is_one_word(words: list, beginning: str) -> None:
    with pytest.raises(UsageError) as error:
        from_command_line(words)
    assert str(error.value).startswith(beginning)
