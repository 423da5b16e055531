# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From one release to another, no step further than an upgrade may go."""

from __future__ import annotations

import pytest
from ansible_collections.discovery.consul.plugins.filter.upgrade_path import upgrade_path, upgrade_words
from ansible_collections.discovery.consul.plugins.module_utils._consul import versions
from hypothesis import given
from hypothesis import strategies as st

RELEASES = [(1, minor, 3) for minor in range(9, 23)] + [(2, 0, 9), (2, 1, 0), (3, 0, 0)]


@pytest.mark.parametrize(
    ("runs", "wanted", "steps"),
    [
        ("1.8.7", "2.0.4", "1.10.12 1.12.9 1.14.11 1.16.6 1.18.2 1.20.6 1.22.7 2.0.4"),
        ("1.8.7", "1.10.12", "1.10.12"),
        ("1.15.10", "1.19.1", "1.16.6 1.18.2 1.19.1"),
        ("1.22.7", "2.1.0", "2.1.0"),
        ("2.0.4", "2.0.4", "2.0.4"),
    ],
)
def test_the_way(runs: str, wanted: str, steps: str) -> None:
    assert " ".join(upgrade_path(runs, wanted)) == steps


@given(runs=st.sampled_from(RELEASES), wanted=st.sampled_from(RELEASES))
def test_each_step_goes_forward_and_not_too_far(runs: versions.Version, wanted: versions.Version) -> None:
    if versions.line(wanted) < versions.line(runs):
        return
    way = [runs, *versions.path(runs, wanted)]
    steps = [versions.line(after) - versions.line(before) for before, after in zip(way, way[1:])]
    assert all(0 <= step <= versions.LINES_AT_ONCE for step in steps), way
    assert way[-1] == wanted and not set(way[1:-1]) & set(versions.BROKEN)


def test_what_is_no_release_is_a_sentence() -> None:
    with pytest.raises(versions.VersionError, match="names no release of Consul"):
        upgrade_path("latest", "2.0.4")


@pytest.mark.parametrize(
    ("runs", "wanted", "words"),
    [
        (["1.21.0", None, "1.20.6", "1.21.0"], "1.22.7", "Servers run Consul 1.20.6 and 1.21.0. The image X has 1.22.7. The way is 1.20.6 - 1.22.7."),
        (["1.9.2"], "1.10.12", "Servers run Consul 1.9.2. The image X has 1.10.12. The way is 1.9.2 - 1.10.12."),
        (["1.20.6"], "2.0.4", "Servers run Consul 1.20.6. The image X has 2.0.4. The way is 1.20.6 - 1.22.7 - 2.0.4."),
        (["2.0.4"], "2.0.4", "Servers run Consul 2.0.4. The image X has 2.0.4, and nothing has to be gone over."),
        (["1.8.7"], "", "Servers run Consul 1.8.7. Which release X has is not known before it is on the host."),
        ([], "2.0.4", "The image X has 2.0.4, and nothing has to be gone over."),
    ],
)
def test_the_way_in_words(runs: list[str], wanted: str, words: str) -> None:
    assert upgrade_words(runs, wanted, "X") == words
