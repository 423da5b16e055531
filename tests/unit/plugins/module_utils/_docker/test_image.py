# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images on a fake engine: what is there costs nothing, what is missing is had or asked for, and errors are sentences."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._docker import image
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from fake_engine import FakeEngine


def test_an_image_that_is_there_costs_nothing(fake: FakeEngine) -> None:
    assert image.settle(Engine(fake.host), image.Entry("consul:1"), check_mode=False) == image.Outcome("consul:1", "none")
    assert fake.journal == []


def test_a_fallback_that_is_there_will_do(fake: FakeEngine) -> None:
    entry = image.Entry("official:9", fallback="consul:2")
    assert image.settle(Engine(fake.host), entry, check_mode=False) == image.Outcome("consul:2", "none")


def test_an_image_built_from_other_files_is_missing(fake: FakeEngine) -> None:
    outcome = image.settle(Engine(fake.host), image.Entry("consul:1", digest="new"), check_mode=False)
    assert (outcome.name, outcome.action) == ("consul:1", "missing")


@pytest.mark.parametrize(
    ("words", "fallback", "missing"),
    [
        ("dial tcp: lookup registry: no such host", "stand-in:1", True),
        ("net/http: TLS handshake timeout", "stand-in:1", True),
        ("manifest unknown", "stand-in:1", False),
        ("denied: requested access to the resource is denied", "stand-in:1", False),
        ("dial tcp: lookup registry: no such host", None, False),
    ],
)
def test_only_a_registry_that_does_not_answer_calls_for_a_stand_in(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch, words: str, fallback: str | None, missing: bool
) -> None:
    def refuse(_engine: Engine, _name: str) -> t.NoReturn:
        raise EngineError(words)

    monkeypatch.setattr(image, "pull", refuse)
    entry = image.Entry("official:9", fallback=fallback)
    if missing:
        assert image.settle(Engine(fake.host), entry, check_mode=False) == image.Outcome("official:9", "missing", words)
    else:
        with pytest.raises(image.ImageError, match="official:9 cannot be pulled"):
            image.settle(Engine(fake.host), entry, check_mode=False)


def test_check_mode_asks_no_registry(fake: FakeEngine) -> None:
    assert image.settle(Engine(fake.host), image.Entry("official:9"), check_mode=True) == image.Outcome("official:9", "pull")
    assert fake.journal == []


def test_an_archive_that_is_not_there_is_a_sentence(fake: FakeEngine) -> None:
    with pytest.raises(image.ImageError, match=r"/nowhere\.tar for the image official:9 cannot be read .* Copy it to the Docker host"):
        image.settle(Engine(fake.host), image.Entry("official:9", archive="/nowhere.tar"), check_mode=False)


def test_only_what_was_built_here_is_removed(fake: FakeEngine) -> None:
    assert image.remove(Engine(fake.host), "consul:1", check_mode=False) is False
    assert image.remove(Engine(fake.host), "none:1", check_mode=False) is False
    assert fake.journal == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("consul", ("consul", "latest")),
        ("hashicorp/consul:1.22.6", ("hashicorp/consul", "1.22.6")),
        ("registry:5000/a/b", ("registry:5000/a/b", "latest")),
        ("a@sha256:00", ("a", "sha256:00")),
    ],
)
def test_names_are_split(name: str, parts: tuple[str, str]) -> None:
    assert image.split_tag(name) == parts
