# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line is read as Go's flag package reads it."""

from __future__ import annotations

import pytest
from registrator.flags import Flag, HelpRequested, UsageError, parse, usage

FLAGS = (Flag("ip", "", "an address"), Flag("ttl", 0, "seconds"), Flag("internal", False, "a switch"))


@pytest.mark.parametrize("words", [["-ip", "10.0.0.1"], ["--ip", "10.0.0.1"], ["-ip=10.0.0.1"], ["--ip=10.0.0.1"], ["-ip", "first", "-ip", "10.0.0.1"]])
def test_the_four_spellings_of_a_value(words: list) -> None:
    values, rest = parse(FLAGS, [*words, "consul:"])
    assert (values["ip"], rest) == ("10.0.0.1", ["consul:"])


@pytest.mark.parametrize("word, wanted", [("-internal", True), ("-internal=true", True), ("-internal=F", False), ("-internal=0", False)])
def test_a_switch(word: str, wanted: bool) -> None:
    assert parse(FLAGS, [word])[0]["internal"] is wanted


def test_the_word_after_a_switch_is_not_its_value() -> None:
    assert parse(FLAGS, ["-internal", "false"]) == ({"ip": "", "ttl": 0, "internal": True}, ["false"])


@pytest.mark.parametrize("words, rest", [(["consul:", "-internal"], ["consul:", "-internal"]), (["--", "-internal"], ["-internal"]), (["-", "x"], ["-", "x"])])
def test_flags_end_at_the_first_other_word(words: list, rest: list) -> None:
    values, found = parse(FLAGS, words)
    assert (values["internal"], found) == (False, rest)


@pytest.mark.parametrize(
    "words, message",
    [
        (["-nope"], "flag provided but not defined: -nope"),
        (["-version"], "flag provided but not defined: -version"),
        (["-ip"], "flag needs an argument: -ip"),
        (["-ttl", "soon"], 'invalid value "soon" for flag -ttl: parse error'),
        (["-internal=maybe"], 'invalid boolean value "maybe" for -internal: parse error'),
        (["---ip"], "bad flag syntax: ---ip"),
        (["-=x"], "bad flag syntax: -=x"),
    ],
)
def test_what_cannot_be_read_is_told(words: list, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(FLAGS, words)
    assert str(error.value) == message


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help(word: str) -> None:
    with pytest.raises(HelpRequested):
        parse(FLAGS, [word])
    assert "  -ttl int\n    \tseconds" in usage(FLAGS, "registrator")
