# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens, and in whatever order: when it is over, the registry holds what runs, and nothing more is written.

Two hosts share a registry, which is an agent with checks or a store of keys. Steps are drawn at random: containers come, go, change
their image and so their service's name, are told to stop, are well and are not; events get lost; the registry is away, refuses, and
loses what it had; Registrators are restarted. That the property finds what it is there for is proven with defects that there once were.
"""

from __future__ import annotations

import contextlib
import random
import typing as t
from dataclasses import replace

import pytest
from containers import container, published
from fakes import FakeRegistry
from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as some
from hypothesis.errors import NoSuchExample
from registrator.draining import Draining
from registrator.mapping import Here, services_of
from registrator.mark import Owner
from registrator.news import CHANGED, DIED, STARTED
from registrator.options import Options
from registrator.registrations import Registrations
from registrator.registry import RegistryError, RegistryUnreachable
from registrator.registry.keyvalue import KeyValue, Store, Stored, address_and_port
from registrator.service import Found, Service
from world import World

IMAGES = ("nginx:1", "caddy:2")
HEALTH = ("healthy", "unhealthy")
HOSTS = ("host1-aa", "host1-bb")
NAMES = (("web.1", "db"), ("api", "job"))
STOP_S = 15.0
ON_STOP = ("wait", "deregister", "maintenance")
FAULTS = ("the registry is away", "the registry is back", "a refusal", "no refusal", "a loss", "a lost check")
STEPS = (
    *("create", "create", "die", "die", "health", "told to stop", "time passes"),
    *FAULTS,
    *("registrator ends", "registrator starts", "the engine is listed", "compared", "tried again", "drained"),
    "keeper renews",
)


class Clock:
    """Time that only steps move, but for a little with each look at it, so that no two moments are one."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now


class Shared:
    """What a registry holds, for whoever asks it, and what was written by whom."""

    def __init__(self) -> None:
        self.found: t.Dict[str, Found] = {"foreign": Found("foreign", "f", "", "", "foreign", "1.2.3.4:5")}
        self.stored: t.Dict[str, Stored] = {"pre/foreign/x": Stored("1.2.3.4:5")}
        self.health: t.Dict[str, str] = {}
        self.maintained: t.Set[str] = set()
        self.writes: t.List[str] = []
        self.buried: t.Set[str] = set()


class AgentView(FakeRegistry):
    """An agent with its checks, as one Registrator sees it."""

    def __init__(self, shared: Shared, owner: str) -> None:
        super().__init__(owner)
        self.shared, self.held, self.writes = shared, shared.found, shared.writes

    def register(self, service: Service) -> str:
        super().register(service)
        assert service.container not in self.shared.buried, f"{service.id} of {service.container}, which has ended, is registered"
        self.shared.maintained.discard(service.id)
        # A check that is there already keeps its state. Checks that the service no longer has go.
        if not service.health:
            self.shared.health[service.id] = ""
        elif not self.shared.health.get(service.id):
            self.shared.health[service.id] = service.health.status
        return ""

    def deregister(self, location: str, name: str) -> None:
        super().deregister(location, name)
        self.shared.maintained.discard(location)
        self.shared.health.pop(location, None)

    def report(self, service: Service) -> None:
        if service.id not in self.shared.health and not self.away:
            raise RegistryError("unknown check")
        assert service.health
        self._write("", service.id)
        self.writes.pop()  # that nothing is written does not mean that nothing is renewed
        self.shared.health[service.id] = service.health.status

    def maintain(self, service: Service, reason: str) -> None:
        super().maintain(service, reason)
        if service.id in self.held:
            self.shared.maintained.add(service.id)

    def end_maintenance(self, locations: t.Container[str]) -> None:
        for location in sorted(self.shared.maintained):
            if location in locations:
                self._write("in service ", location)
                self.shared.maintained.discard(location)

    def lose(self, location: str) -> None:
        self.held.pop(location, None)
        self.shared.health.pop(location, None)
        self.shared.maintained.discard(location)


class KeysView(Store):
    """A store of keys, as one Registrator sees it."""

    def __init__(self, shared: Shared, owner: str) -> None:
        self.shared, self.owner, self.away = shared, owner, False
        self.refuses: t.Set[str] = set()

    def ping(self) -> str:
        return ""

    def put(self, key: str, value: str) -> None:
        self._write("+", key)
        # A key that is written again comes last, as the newest of what there is.
        self.shared.stored.pop(key, None)
        self.shared.stored[key] = Stored(value, self.owner)

    def delete(self, key: str) -> None:
        self._write("-", key)
        self.shared.stored.pop(key, None)

    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        if self.away:
            raise RegistryUnreachable("away")
        return {key: stored for key, stored in self.shared.stored.items() if key.startswith(prefix)}

    def _write(self, sign: str, key: str) -> None:
        if self.away:
            raise RegistryUnreachable("away")
        if key in self.refuses:
            raise RegistryError("403")
        self.shared.writes.append(sign + key)


class Host:
    """A host with its containers, and the Registrator on it, which is not always there."""

    def __init__(self, shared: Shared, kind: str, names: t.Sequence[str], owner: str, options: Options, clock: Clock) -> None:
        self.shared, self.kind, self.names, self.options, self.clock = shared, kind, names, replace(options, owner=owner), clock
        self.owner = Owner(owner, "host1")
        self.containers: t.Dict[str, t.Dict[str, t.Any]] = {}
        self.number = 0
        self.view: t.Any = AgentView(shared, owner) if kind == "agent" else KeysView(shared, owner)
        self.registry: t.Any = self.view if kind == "agent" else KeyValue(self.view, "pre", address_and_port)
        self.world: t.Optional[World] = None
        self.stopping: t.Dict[str, float] = {}
        self.snapshot: t.List[str] = []
        self.start()

    def start(self) -> None:
        if self.world is None:
            self.stopping.clear()
            self.snapshot = []
            self.world = World(options=self.options, registry=self.registry)
            self.world.engine.all = self.containers
            self.world.pipeline._reconciler.draining._clock = self.clock.monotonic
            self.world.start()

    def running(self) -> t.Dict[str, str]:
        return {found["Name"][1:]: key for key, found in self.containers.items()}

    def hear(self, key: str, news: str, is_heard: bool) -> None:
        if self.world and is_heard:
            self.world.hear(key, news)
            self.world.work()

    def create(self, name: str, image: str, health: str, is_heard: bool) -> None:
        self.die(name, is_heard)
        self.number += 1
        key = f"{self.owner.text}-{name}-{self.number}"
        self.containers[key] = container(id=key, name=name, image=image, health=health, ports=published("80/tcp", first_host_port=8000 + self.number))
        self.hear(key, STARTED, is_heard)

    def die(self, name: str, is_heard: bool) -> None:
        key = self.running().get(name)
        if key:
            del self.containers[key]
            self.stopping.pop(key, None)
            self.hear(key, DIED, is_heard)
            if self.world and is_heard and not self.view.away and not self.view.refuses:
                self.shared.buried.add(key)

    def step(self, step: str, name: str, image: str, health: str, is_heard: bool) -> None:
        key = self.running().get(name, "")
        if self.world and step != "keeper renews":
            # A keeper has always counted a while ago.
            self.snapshot = list(self.world.pipeline._keepers[0]._locations())
        if step == "create":
            self.create(name, image, health, is_heard)
        elif step == "die":
            self.die(name, is_heard)
        elif step == "health" and key:
            self.containers[key]["State"]["Health"]["Status"] = health
            self.hear(key, CHANGED, is_heard)
        elif step == "told to stop" and key and self.world and self.options.on_container_stop != "wait":
            self.stopping.setdefault(key, self.clock.now)
            self.hear(key, "kill:15", True)
        elif step == "time passes":
            self.clock.now += STOP_S + 1
        elif step in FAULTS:
            self._break(step, key)
        elif step == "registrator ends":
            self.world = None
        elif step == "registrator starts":
            self.start()
        elif self.world:
            self._look(self.world, step)

    def _break(self, step: str, key: str) -> None:
        if step == "the registry is away":
            self.view.away = RegistryUnreachable("away")
        elif step == "the registry is back":
            self.view.away = None
        elif step == "a refusal" and key:
            refused = [self.registry.location(service) for service in self.services_of(key)]
            self.view.refuses = {**dict.fromkeys(self.view.refuses), **dict.fromkeys(refused, RegistryError("403"))}
        elif step == "no refusal":
            self.view.refuses = {}
        elif step in ("a loss", "a lost check") and key:
            self._lose(key, step == "a lost check")

    def _lose(self, key: str, only_check: bool) -> None:
        for location in [self.registry.location(service) for service in self.services_of(key)]:
            if only_check:
                self.shared.health.pop(location, None)
            elif self.kind == "agent":
                self.view.lose(location)
            else:
                self.shared.stored.pop(location, None)

    def _look(self, world: World, step: str) -> None:
        if step == "the engine is listed":
            world.state.list_changes()
        elif step == "compared":
            world.look_after()
        elif step == "tried again":
            world.again()
        elif step == "drained":
            world.pipeline._look_at_drained()
        elif step == "keeper renews":
            for location in self.snapshot:
                with contextlib.suppress(RegistryError):
                    world.pipeline._keepers[0]._renew(location)
        world.work()

    def calm(self) -> None:
        """Nothing is in the way any more, and everything that is done now and then is done."""
        self.view.away, self.view.refuses = None, {}
        self.start()
        assert self.world
        self.world.state.sync()
        for step in ("tried again", "drained", "compared", "keeper renews", "tried again"):
            self.snapshot = list(self.world.pipeline._keepers[0]._locations())
            self._look(self.world, step)

    def services_of(self, key: str) -> t.Sequence[Service]:
        return services_of(self.containers[key], self.options, Here("host1", "10.0.0.1"), None).services

    def drained(self) -> t.Set[str]:
        """Return the containers that were told to stop and have not run on for too long."""
        return {key for key, since in self.stopping.items() if self.clock.now < since + STOP_S}

    def wanted(self) -> t.Dict[str, t.Any]:
        """Return what the registry should hold in service of this host, worked out anew."""
        wanted: t.Dict[str, t.Any] = {}
        for key in self.containers.keys() - self.drained():
            for service in self.services_of(key):
                health = service.health.status if service.health else ""
                seen = (service.name, self.owner.text, key, health) if self.kind == "agent" else (service.endpoint, self.owner.text)
                wanted[self.registry.location(service)] = seen
        return wanted


def in_service(shared: Shared, kind: str) -> t.Dict[str, t.Any]:
    if kind == "keys":
        return {key: (stored.value, stored.owner) for key, stored in shared.stored.items()}
    return {
        location: (found.name, found.owner, found.container, shared.health.get(location, ""))
        for location, found in shared.found.items()
        if location not in shared.maintained
    }


Step = t.Tuple[str, int, int, str, str, bool]
History = t.Tuple[str, str, t.List[Step]]


def histories(steps: t.Sequence[str] = STEPS, kinds: t.Sequence[str] = ("agent", "keys"), on_stop: t.Sequence[str] = ON_STOP) -> some.SearchStrategy[History]:
    """What may happen, in which kind of registry, with which ``-on-container-stop``."""
    words = some.sampled_from(steps), some.integers(0, 1), some.integers(0, 1), some.sampled_from(IMAGES), some.sampled_from(HEALTH)
    is_heard = some.sampled_from((True, True, False))
    return some.tuples(some.sampled_from(kinds), some.sampled_from(on_stop), some.lists(some.tuples(*words, is_heard), max_size=30))


def judge(history: History, owners: t.Sequence[str] = HOSTS) -> None:
    """Let it all happen, and see whether it ends well."""
    kind, on_stop, steps = history
    if (kind, on_stop) == ("keys", "maintenance"):
        return  # keys know no maintenance
    shared, clock = Shared(), Clock()
    options = Options(ip="10.0.0.1", health_checks=True, on_container_stop=on_stop)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("workqueue", "ledger", "registrations"):
            patch.setattr(f"registrator.{module}.time", clock)
        hosts = [Host(shared, kind, names, owner, options, clock) for names, owner in zip(NAMES, owners)]
        for step, host, name, image, health, is_heard in steps:
            hosts[host].step(step, hosts[host].names[name], image, health, is_heard)
        foreign = in_service(Shared(), kind)
        for is_over in (False, True):
            if is_over:
                clock.now += STOP_S + 1
            for _time in range(3):
                for host_ in hosts:
                    host_.calm()
            assert in_service(shared, kind) == {**hosts[0].wanted(), **hosts[1].wanted(), **foreign}
        written = len(shared.writes)
        for host_ in hosts:
            host_.calm()
        assert shared.writes[written:] == []


STAYS_OUT: History = ("agent", "maintenance", [(step, 0, 0, IMAGES[0], "healthy", True) for step in ("create", "told to stop", "a loss")])


@given(histories())
@example(STAYS_OUT)
def test_when_all_is_over_the_registry_holds_what_runs(history: History) -> None:
    judge(history)


# Defects that there once were


def the_id_tells_registrations_apart(patch: pytest.MonkeyPatch) -> None:
    """Not the key: a container that comes back from another image leaves its old key for ever."""
    right = KeyValue.registered

    def registered(self: KeyValue) -> t.Mapping[str, Found]:
        newest = {key.rpartition("/")[2]: (key, found) for key, found in right(self).items()}
        return dict(newest.values())

    patch.setattr(KeyValue, "registered", registered)


def a_renewal_brings_back_what_has_ended(patch: pytest.MonkeyPatch) -> None:
    """A keeper goes by what there was when it counted."""
    right = Registrations.services

    def services(self: t.Any) -> t.Mapping[str, Service]:
        self.counted = right(self)
        return t.cast("t.Mapping[str, Service]", self.counted)

    def renew_health(self: t.Any, location: str) -> None:
        service = self.counted[location]
        try:
            self._registry.report(service)
        except RegistryUnreachable:
            raise
        except RegistryError:
            self._registry.register(service)

    patch.setattr(Registrations, "services", services)
    patch.setattr(Registrations, "renew_health", renew_health)


def a_stop_counts_as_done_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    right = Draining.has_to_go_out

    def has_to_go_out(self: Draining, container: str) -> bool:
        found = right(self, container)
        self.is_out(container)
        return found

    patch.setattr(Draining, "has_to_go_out", has_to_go_out)


def what_goes_on_is_told_once(patch: pytest.MonkeyPatch) -> None:
    right = Draining.overdue

    def overdue(self: Draining) -> t.List[str]:
        found = right(self)
        for one in found:
            self.end(one)
        return found

    patch.setattr(Draining, "overdue", overdue)


def nothing(patch: pytest.MonkeyPatch) -> None:
    """That two hosts of one name have no owner is an option that is missing."""


# What each needs to show: with all that may happen, it takes some thousand histories until it does.
DEFECTS = [
    (the_id_tells_registrations_apart, HOSTS, histories(("create", "registrator ends", "registrator starts"), ("keys",))),
    (nothing, ("host1", "host1"), histories(("create", "die"), ("keys",))),
    (a_renewal_brings_back_what_has_ended, HOSTS, histories(("create", "die", "keeper renews"), ("agent",), ("wait",))),
    (a_stop_counts_as_done_before_it_is_written, HOSTS, histories(("create", "told to stop", "the registry is away"), on_stop=ON_STOP[1:])),
    (what_goes_on_is_told_once, HOSTS, histories(("create", "told to stop", "time passes", "the registry is away", "drained"), ("agent",), ("maintenance",))),
]


@pytest.mark.parametrize("defect, owners, what_happens", DEFECTS, ids=[defect[0].__name__ for defect in DEFECTS])
def test_a_defect_that_there_once_was_is_found(
    defect: t.Callable[[pytest.MonkeyPatch], None], owners: t.Sequence[str], what_happens: some.SearchStrategy[History], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(history: History) -> bool:
        try:
            judge(history, owners)
        except AssertionError:
            return True
        return False

    enough = settings(max_examples=300, database=None, phases=[Phase.generate], deadline=None)
    if owners == HOSTS:
        with pytest.raises(NoSuchExample):
            find(what_happens, fails, settings=settings(enough, max_examples=30), random=random.Random(1))
    defect(monkeypatch)
    find(what_happens, fails, settings=enough, random=random.Random(1))
