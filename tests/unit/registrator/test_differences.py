# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be written to get from what is registered to what should be."""

from __future__ import annotations

import typing as t

from hypothesis import given
from hypothesis import strategies as some
from registrator.differences import Located, differences
from registrator.service import Service

SERVICES = some.lists(
    some.builds(Service, id=some.sampled_from("abc"), name=some.sampled_from("xy"), address=some.just(""), port=some.integers(1, 3), container=some.just("c"))
)


def fingerprint(service: Service) -> str:
    return repr(service)


def located(services: t.Iterable[Service]) -> t.List[Located]:
    return [Located(f"at {service.id}", service) for service in services]


def held(services: t.Iterable[Located]) -> t.Dict[str, str]:
    return {location: fingerprint(service) for location, service in services}


@given(before=SERVICES, wanted=SERVICES)
def test_once_written_nothing_is_left_to_do(before: t.List[Service], wanted: t.List[Service]) -> None:
    there = held(located(before))
    todo = differences(there, located(wanted), fingerprint)
    for location in todo.deregister:
        del there[location]
    there.update(held(todo.register))

    assert there == held(located(wanted))
    assert differences(there, located(wanted), fingerprint) == ((), ())


def test_equal_locations_are_all_written_once() -> None:
    one, two = located(Service("same", name, "", 1, "c") for name in ("one", "two"))
    assert differences({}, [one, two], fingerprint).register == (one, two)
    assert differences(held([two]), [one, two], fingerprint).register == ()
