# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Consul's health check from the CHECK_ keys."""

from __future__ import annotations

import pytest
from registrator.checks import check_of, is_duration
from registrator.metadata import Metadata


def check(address: str = "10.0.0.1", **values: str) -> tuple:
    return check_of(Metadata({f"check_{key}": value for key, value in values.items()}), address, 8080, "0123456789abcdef", "80", scripts=True)


@pytest.mark.parametrize(
    "values, wanted",
    [
        ({"http": "/h"}, {"HTTP": "http://10.0.0.1:8080/h", "Interval": "10s"}),
        ({"http": "h", "http_method": "HEAD", "timeout": "1s"}, {"HTTP": "http://10.0.0.1:8080/h", "Method": "HEAD", "Timeout": "1s", "Interval": "10s"}),
        ({"https": "/h", "https_method": "POST"}, {"HTTPS": None, "HTTP": "https://10.0.0.1:8080/h", "Method": "POST", "Interval": "10s"}),
        ({"https": "/h", "tls_skip_verify": "1"}, {"HTTP": "https://10.0.0.1:8080/h", "TLSSkipVerify": True, "Interval": "10s"}),
        ({"cmd": "/c a"}, {"ScriptArgs": ["check-cmd", "0123456789ab", "80", "/c a"], "Interval": "10s"}),
        ({"script": "nc $SERVICE_IP $SERVICE_PORT", "interval": "5s"}, {"ScriptArgs": ["/bin/sh", "-c", "nc 10.0.0.1 8080"], "Interval": "5s"}),
        ({"ttl": "30s", "interval": "5s"}, {"TTL": "30s"}),
        ({"tcp": "false"}, {"TCP": "10.0.0.1:8080", "Interval": "10s"}),
        ({"grpc": "1", "tls_skip_verify": "1"}, {"GRPC": "10.0.0.1:8080", "Interval": "10s"}),
        (
            {"grpc": "1", "grpc_use_tls": "1", "tls_skip_verify": "1"},
            {"GRPC": "10.0.0.1:8080", "GRPCUseTLS": True, "TLSSkipVerify": True, "Interval": "10s"},
        ),
        (
            {"tcp": "1", "initial_status": "passing", "deregister_after": "1m"},
            {"TCP": "10.0.0.1:8080", "Interval": "10s", "Status": "passing", "DeregisterCriticalServiceAfter": "1m"},
        ),
        ({"http": "/h", "https": "/s", "tcp": "1"}, {"HTTP": "http://10.0.0.1:8080/h", "Interval": "10s"}),
        ({"http": "", "tcp": "1"}, {"TCP": "10.0.0.1:8080", "Interval": "10s"}),
        ({"interval": "5s", "initial_status": "passing"}, None),
    ],
)
def test_the_kinds(values: dict, wanted: dict) -> None:
    if wanted:
        wanted.pop("HTTPS", None)
    assert check(**values) == (wanted, [])


def test_an_ipv6_address_is_in_brackets() -> None:
    assert check("2001:db8::1", http="/h")[0]["HTTP"] == "http://[2001:db8::1]:8080/h"


@pytest.mark.parametrize(
    "values, wanted",
    [
        ({"tcp": "1", "interval": "soon"}, {"TCP": "10.0.0.1:8080", "Interval": "10s"}),
        ({"tcp": "1", "timeout": "5"}, {"TCP": "10.0.0.1:8080", "Interval": "10s"}),
        ({"tcp": "1", "deregister_after": "-1m"}, {"TCP": "10.0.0.1:8080", "Interval": "10s"}),
        ({"tcp": "1", "initial_status": "fine"}, {"TCP": "10.0.0.1:8080", "Interval": "10s"}),
        ({"ttl": "0"}, None),
    ],
)
def test_what_consul_refuses_is_left_out_and_named(values: dict, wanted: dict) -> None:
    found, (warning,) = check(**values)
    key = next(reversed(values)) if "ttl" not in values else "ttl"
    assert found == wanted
    assert f"SERVICE_CHECK_{key.upper()}=" in warning


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("10s", True),
        ("1h30m", True),
        (".5s", True),
        ("1.s", True),
        ("10", False),
        ("s", False),
        ("0s", False),
        ("-1s", False),
        ("1d", False),
        ("9999999999h", False),
        ("1" * 700 + "x", False),
        ("1s" * 100, False),
    ],
)
def test_durations(text: str, wanted: bool) -> None:
    assert is_duration(text) is wanted


def test_no_duration_takes_longer_to_read_than_it_is_long() -> None:
    # Each of these took a cubic or an exponential number of steps with an expression that can be read in several ways.
    for text in ("1" * 40, "1." * 20, ".1" * 20, "1.1" * 13 + "x", "1s" * 19 + "1"):
        assert not is_duration(text)


@pytest.mark.parametrize("kind", ["cmd", "script"])
def test_a_program_is_no_check_unless_that_is_asked_for(kind: str) -> None:
    found, (warning,) = check_of(Metadata({f"check_{kind}": "rm -rf /", "check_tcp": "1"}), "10.0.0.1", 80, "c", "80")
    assert found is None
    assert f"SERVICE_CHECK_{kind.upper()}" in warning and "-script-checks" in warning


def test_what_follows_the_address_is_a_path() -> None:
    assert check(http="@evil.example/")[0]["HTTP"] == "http://10.0.0.1:8080/@evil.example/"
