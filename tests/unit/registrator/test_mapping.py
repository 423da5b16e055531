# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What should be registered of a container: the cases that the recorded ones of tests/conformance do not hold."""

from __future__ import annotations

import re
import typing as t

import pytest
from containers import ID, container, published
from hypothesis import example, given
from hypothesis import strategies as some
from registrator.checks import is_duration
from registrator.mapping import Here, Mapped, services_of
from registrator.names import unfit
from registrator.options import Options
from registrator.service import Service

HERE = Here("host1", "192.168.7.7")


def mapped(options: Options = Options(), owner: t.Any = None, **changes: t.Any) -> Mapped:  # noqa: B008 - it is frozen
    return services_of(container(**changes), options, HERE, owner)


def only(options: Options = Options(), owner: t.Any = None, **changes: t.Any) -> Service:  # noqa: B008 - it is frozen
    (service,) = mapped(options, owner, **changes).services
    return service


def test_a_published_port() -> None:
    assert only() == Service("host1:web.1:80", "nginx", "192.168.7.7", 8080, ID, private_port=80, container_hostname="abc")


def test_a_port_that_is_not_published_is_told() -> None:
    assert mapped(ports={"80/tcp": None}).ignored == ("port 80 not published on host",)
    assert mapped(ports={}).ignored == ("no published ports",)
    assert mapped(ports={"80/tcp": None}).services == ()


def test_internal_takes_unpublished_ports_too() -> None:
    services = mapped(Options(internal=True), ports={"80/tcp": None, **published("443/tcp")}).services
    assert [(s.name, s.address, s.port) for s in services] == [("nginx-443", "172.17.0.2", 443), ("nginx-80", "172.17.0.2", 80)]


def test_explicit_wants_a_name() -> None:
    assert mapped(Options(explicit=True)).ignored == ("service on port 80",)
    assert only(Options(explicit=True), env=["SERVICE_80_NAME=web"]).name == "web"


@pytest.mark.parametrize("value, count", [("true", 0), ("false", 0), ("0", 0), ("", 1)])
def test_ignore_takes_any_value(value: str, count: int) -> None:
    assert len(mapped(env=[f"SERVICE_IGNORE={value}"]).services) == count


def test_a_name_for_one_port_has_no_suffix() -> None:
    services = mapped(env=["SERVICE_NAME=web", "SERVICE_443_NAME=secure"], ports=published("80/tcp", "443/tcp")).services
    assert sorted(s.name for s in services) == ["secure", "web-80"]


@pytest.mark.parametrize(
    "image, name",
    [
        ("redis", "redis"),
        ("reg:5000/a/redis:6", "redis"),
        ("redis@sha256:00ff", "redis"),
        ("redis:6@sha256:00ff", "redis"),
        ("sha256:00ff", "web.1"),
        ("", "web.1"),
    ],
)
def test_the_default_name(image: str, name: str) -> None:
    assert only(image=image).name == name


def test_tags_keep_their_order() -> None:
    options = Options(tags=Options.tags.__class__("x,{{.Config.Hostname}}"))
    service = only(options, env=["SERVICE_TAGS=b,a"], ports=published("53/udp"))
    assert (service.id, service.tags) == ("host1:web.1:53:udp", ("b", "a", "x", "abc", "udp"))


@pytest.mark.parametrize(
    "options, changes, address",
    [
        (Options(), {"ports": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}]}}, "192.168.7.7"),
        (Options(), {"ports": {"80/tcp": [{"HostIp": "10.5.5.5", "HostPort": "8080"}]}}, "10.5.5.5"),
        (Options(), {"mode": "mynet", "networks": {"mynet": {"IPAddress": "10.9.0.2"}}}, "192.168.7.7"),
        (Options(ip="10.1.1.1"), {"ports": {"80/tcp": [{"HostIp": "10.5.5.5", "HostPort": "8080"}]}}, "10.1.1.1"),
        (Options(internal=True, ip="10.1.1.1"), {"mode": "default"}, "172.17.0.2"),
        (Options(internal=True), {"networks": {"a": {"IPAddress": "10.1.0.2"}, "b": {"IPAddress": "10.2.0.2"}}, "mode": "b"}, "10.2.0.2"),
        (Options(internal=True), {"networks": {"b": {"IPAddress": "10.2.0.2"}, "a": {"IPAddress": "10.1.0.2"}}, "mode": "0123"}, "10.1.0.2"),
        (Options(internal=True), {"networks": {"six": {"IPAddress": "", "GlobalIPv6Address": "2001:db8::2"}}, "mode": "six"}, "2001:db8::2"),
        (Options(ip="10.1.1.1", ip_label="ip"), {"labels": {"ip": "10.7.0.3/24"}}, "10.7.0.3"),
        (Options(ip="10.1.1.1", ip_label="ip"), {}, "10.1.1.1"),
        (Options(ip="10.1.1.1", ip_label="ip"), {"labels": {"ip": "evil.example/a?b="}}, "evil.example"),
        (Options(ip="10.1.1.1", ip_label="ip"), {"labels": {"ip": "../../x"}}, "10.1.1.1"),
        (Options(ip="10.1.1.1", ip_label="ip"), {"labels": {"ip": "user@evil.example"}}, "10.1.1.1"),
        (Options(ip_label="ip"), {"labels": {"ip": "0.0.0.0/0"}}, "192.168.7.7"),
    ],
)
def test_the_address(options: Options, changes: dict, address: str) -> None:
    assert only(options, **changes).address == address


def test_a_label_for_the_address_that_is_missing_is_told() -> None:
    assert mapped(Options(ip_label="ip")).warnings == ("port 80: Label 'ip' not found in container configuration",)


def test_a_shared_network_has_the_address_of_its_owner() -> None:
    changes: t.Dict[str, t.Any] = {"mode": "container:db", "ports": {}, "exposed": {"80/tcp": {}}, "networks": {}}
    owner = container(name="db", networks={"bridge": {"IPAddress": "172.17.0.9"}})
    assert only(Options(ip="10.1.1.1"), owner, **changes).address == "172.17.0.9"
    assert only(Options(), None, **changes).address == ""
    on_host = container(name="db", mode="host", networks={"host": {"IPAddress": ""}})
    assert only(Options(), on_host, **changes).address == "192.168.7.7"


def test_meta_data_has_the_rest_and_no_checks() -> None:
    service = only(env=["SERVICE_REGION=eu", "SERVICE_CHECK_TTL=30s", "SERVICE_A.B=x", "SERVICE_ID=i", "SERVICE_TAGS=t"])
    assert service.meta == {"region": "eu", "a_b": "x"}


@pytest.mark.parametrize("key, value", [("consul-x", "1"), ("", "1"), ("x" * 129, "1"), ("long", "v" * 513), ("long", "é" * 257), ("A.B", "x")])
def test_meta_data_that_consul_refuses_is_named(key: str, value: str) -> None:
    result = mapped(env=[f"SERVICE_{key}={value}"])
    assert f"SERVICE_{key.upper()} " in result.warnings[0]


def test_not_more_meta_data_than_consul_takes() -> None:
    result = mapped(env=[f"SERVICE_K{number}=x" for number in range(70)])
    assert len(result.services[0].meta) == 63
    assert len(result.warnings) == 7


def test_one_id_for_several_ports_is_told() -> None:
    result = mapped(env=["SERVICE_ID=one"], ports=published("80/tcp", "443/tcp"))
    assert [(s.id, s.is_id_chosen) for s in result.services] == [("one", True), ("one", True)]
    assert "SERVICE_ID=one" in result.warnings[0]


@pytest.mark.parametrize("text", ["..", "../x", "a/../b", "a//b", "/a", "a/", ".", "a?b", "a#b", "a\nb", "a\x1bb", "\u200b", "x" * 256])
@pytest.mark.parametrize("key", ["ID", "NAME"])
def test_what_leads_astray_is_neither_an_id_nor_a_name(key: str, text: str) -> None:
    result = mapped(env=[f"SERVICE_{key}={text}"])
    assert result.services == ()
    assert f"SERVICE_{key}={text[:150]!r} " in result.warnings[0]


@pytest.mark.parametrize("text", ["a b", "a/b", "..a", "a..b", "ü", "a;b", "50%", "a,b", "x" * 255])
def test_other_ids_are_as_they_were(text: str) -> None:
    assert only(env=[f"SERVICE_ID={text}"]).id == text


def test_a_name_from_a_label_is_looked_at_too() -> None:
    result = mapped(Options(name_from="service"), labels={"com.docker.compose.service": "../x"})
    assert "its default name='../x' has a part" in result.warnings[0]
    assert result.services == ()


@pytest.mark.parametrize("registry", ["consul://127.0.0.1:8500", "consul-unix:///run/consul.sock", "consul-tls://127.0.0.1:8501"])
def test_the_name_of_consuls_servers_is_theirs(registry: str) -> None:
    for env in (["SERVICE_NAME=consul"], ["SERVICE_80_NAME=consul"]):
        found = mapped(Options(registry=registry), env=env)
        assert [service.name for service in found.services].count("consul") == 0
        assert "is that of Consul's servers" in found.warnings[0]
    assert [service.name for service in mapped(Options(registry="etcd://127.0.0.1:2379/services"), env=["SERVICE_NAME=consul"]).services] == ["consul"]


def test_names_that_are_not_allowed() -> None:
    options = Options(allowed_names=("app-*", "web"))
    assert [only(options, env=[f"SERVICE_NAME={name}"]).name for name in ("web", "app-1")] == ["web", "app-1"]
    assert "is none of -allowed-names" in mapped(options, env=["SERVICE_NAME=consul"]).warnings[0]
    assert mapped(options).services == ()


def test_not_more_ports_and_tags_than_are_registered() -> None:
    result = mapped(ports=published(*(f"{number}/tcp" for number in range(1, 1501))))
    assert (len(result.services), result.warnings) == (1000, ("1500 ports: only the first 1000 are registered",))
    result = mapped(env=["SERVICE_TAGS=" + "a," * 150])
    assert (len(result.services[0].tags), len(result.warnings)) == (100, 1)


@pytest.mark.parametrize(
    "opt_in, label, count",
    [(False, "", 1), (False, "true", 1), (False, "False", 0), (True, "", 0), (True, "true", 1), (True, "false", 0)],
)
def test_in_and_out_by_label(opt_in: bool, label: str, count: int) -> None:
    assert len(mapped(Options(opt_in=opt_in), labels={"registrator.enable": label}).services) == count


@pytest.mark.parametrize(
    "source, labels, name",
    [
        ("container", {"com.docker.compose.service": "shop"}, "web.1"),
        ("service", {"com.docker.compose.service": "shop"}, "shop"),
        ("service", {"com.docker.swarm.service.name": "stack_shop"}, "stack_shop"),
        ("service", {}, "web.1"),
        ("image", {"com.docker.compose.service": "shop"}, "nginx"),
    ],
)
def test_where_the_default_name_comes_from(source: str, labels: dict, name: str) -> None:
    assert only(Options(name_from=source), labels=labels).name == name


def test_a_network_chosen_by_label() -> None:
    networks = {"a": {"IPAddress": "10.1.0.2"}, "b": {"IPAddress": "10.2.0.2"}}
    assert only(Options(internal=True), networks=networks, mode="a", labels={"registrator.network": "b"}).address == "10.2.0.2"
    result = mapped(Options(internal=True), networks=networks, mode="a", labels={"registrator.network": "c"})
    assert result.services[0].address == "10.1.0.2"
    assert result.warnings == ("port 80: registrator.network=c is not a network of this container",)


@pytest.mark.parametrize(
    "flag, label, changes, status",
    [
        (True, "", {"health": "healthy"}, "passing"),
        (True, "", {"health": "unhealthy"}, "critical"),
        (True, "", {"health": "starting"}, "warning"),
        (True, "", {"health": "none"}, None),
        (True, "", {}, None),
        (True, "", {"paused": True}, "critical"),
        (True, "", {"paused": True, "health": "healthy"}, "critical"),
        (False, "", {"health": "unhealthy"}, None),
        (False, "true", {"health": "unhealthy"}, "critical"),
        (True, "false", {"health": "unhealthy"}, None),
    ],
)
def test_health(flag: bool, label: str, changes: dict, status: t.Optional[str]) -> None:
    health = only(Options(health_checks=flag), labels={"registrator.health": label}, **changes).health
    assert (health.status if health else None) == status
    assert "it says so" not in str(health), "what a check prints is nobody else's affair"


KEYS = some.one_of(
    some.text(max_size=20),
    some.sampled_from(["NAME", "TAGS", "ID", "IGNORE", "80_NAME", "CHECK_HTTP", "CHECK_TTL", "CHECK_TCP", "CHECK_INTERVAL", "CHECK_TIMEOUT"]),
    some.sampled_from(["CHECK_SCRIPT", "CHECK_CMD", "CHECK_GRPC", "CHECK_HTTPS", "CHECK_INITIAL_STATUS", "CHECK_DEREGISTER_AFTER", "A.B", "CONSUL-X"]),
)
VALUES = some.one_of(some.text(max_size=600), some.sampled_from(["10s", "1h30m", "x", "", "critical", "/health"]))


@given(env=some.lists(some.tuples(KEYS, VALUES)), labels=some.dictionaries(KEYS, VALUES), internal=some.booleans())
@example(env=[("CHECK_TTL", "0s")], labels={}, internal=False)
@example(env=[("NAME", "\ud800")], labels={}, internal=False)
def test_any_metadata_gives_what_consul_takes(env: list, labels: dict, internal: bool) -> None:
    result = mapped(
        Options(internal=internal, ip_label="ip"),
        env=[f"SERVICE_{key}={value}" for key, value in env],
        labels={f"SERVICE_{key}": value for key, value in labels.items()},
        ports=published("80/tcp", "53/udp"),
    )
    for service in result.services:
        assert not unfit(service.id) and not unfit(service.name) and 0 <= service.port < 65536
        assert len(service.meta) <= 63
        for key, value in service.meta.items():
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", key) and not key.startswith("consul-") and len(value.encode()) <= 512
        check = service.check or {}
        assert all(is_duration(check[field]) for field in ("Interval", "TTL", "Timeout", "DeregisterCriticalServiceAfter") if field in check)
        assert check.get("Status", "passing") in ("passing", "warning", "critical")
        assert not check or "TTL" in check or "Interval" in check
        "".join([service.id, service.name, *service.tags, str(check), *service.meta.values()]).encode()


@given(env=some.lists(some.tuples(KEYS, VALUES).map(lambda pair: f"SERVICE_{pair[0]}={pair[1]}")))
def test_the_same_container_gives_the_same_services(env: list) -> None:
    assert mapped(env=env) == mapped(env=env)
