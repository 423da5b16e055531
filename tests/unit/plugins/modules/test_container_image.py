# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module says: changes, differences, what the controller has to bring, and errors in one sentence."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.discovery.consul.plugins.modules import container_image

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "module_utils" / "_docker"))
from fake_images import NO_REGISTRY, FakeImages, image

Json = t.Dict[str, t.Any]


@pytest.fixture
def fake() -> t.Iterator[FakeImages]:
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeImages(f"{folder}/docker.sock")
        yield fake
        fake.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Json]:
    def run(host: str, images: list[Json], check_mode: bool = False, **options: t.Any) -> Json:
        with patch_module_args({"images": images, "docker_host": host, "_ansible_check_mode": check_mode, **options}), pytest.raises(SystemExit):
            container_image.main()
        return t.cast(Json, json.loads(capsys.readouterr().out))

    return run


def test_what_is_pulled_and_what_is_missing(fake: FakeImages, run: t.Callable[..., Json]) -> None:
    fake.images["kept:1"] = image("kept", {"org.opencontainers.image.version": "1.0"}, architecture="amd64")
    fake.registry["pulled:1"] = image("pulled")
    images = [{"name": "kept:1"}, {"name": "pulled:1"}, {"name": "own:1", "digest": "d", "on_controller": True}]
    for check_mode in (True, False):
        result = run(fake.host, images, check_mode)
        assert result["changed"]
        assert [(one["name"], one["action"]) for one in result["images"]] == [("kept:1", "none"), ("pulled:1", "pull"), ("own:1", "missing")]
        assert [one["name"] for one in result["missing"]] == ["own:1"]
        assert result["diff"] == {"before": "pulled:1: absent\nown:1: absent\n", "after": "pulled:1: pull\nown:1: missing\n"}
    assert result["images"][0] == {"name": "kept:1", "action": "none", "reason": "", "id": "sha256:kept", "version": "1.0", "architecture": "amd64"}
    assert result["architecture"] == "amd64"
    again = run(fake.host, images[:2])
    assert (again["changed"], again["diff"]) == (False, {"before": "", "after": ""})


def test_an_image_that_cannot_be_had_is_one_sentence_with_the_way_out(fake: FakeImages, run: t.Callable[..., Json]) -> None:
    fake.refusal = (500, NO_REGISTRY)
    result = run(fake.host, [{"name": "pulled:1"}])
    assert result["failed"]
    assert result["msg"] == (
        f"The image pulled:1 cannot be pulled: The Docker engine at {fake.host} could not pull the image pulled:1: {NO_REGISTRY}. "
        "Load it from an archive, or name an image that is there."
    )


def test_removing_takes_what_was_made_here_and_says_what(fake: FakeImages, run: t.Callable[..., Json]) -> None:
    fake.images.update({name: image(name, {"discovery.consul.made": "image"}) for name in ("own:1", "base:1", "others:1")})
    fake.images["pulled:1"] = image("pulled")
    result = run(fake.host, [{"name": "own:1"}, {"name": "pulled:1", "fallback": "gone:1"}], state="absent", also=["base:1"])
    assert [one["name"] for one in result["images"]] == ["own:1", "base:1"]
    assert result["diff"]["after"] == "own:1: absent\nbase:1: absent\n"
    assert set(fake.images) == {"others:1", "pulled:1"}
    assert fake.journal[-1] == "POST /images/prune"
    assert not run(fake.host, [{"name": "own:1"}], state="absent")["changed"]


def test_without_an_engine_check_mode_tells_and_a_real_run_fails(tmp_path: pathlib.Path, run: t.Callable[..., Json], monkeypatch: pytest.MonkeyPatch) -> None:
    # Where another test of the same process has imported Ansible's controller, warnings go there and not into the result.
    warnings: list[str] = []
    monkeypatch.setattr(container_image.AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    host = f"unix://{tmp_path}/none.sock"
    told = run(host, [{"name": "pulled:1"}, {"name": "own:1", "on_controller": True}], check_mode=True)
    assert [one["action"] for one in told["images"]] == ["pull", "missing"]
    assert [text.split(" at ")[0] for text in warnings] == ["No Docker engine answers"]
    failed = run(host, [{"name": "pulled:1"}])
    assert failed["failed"]
    assert "does not answer" in failed["msg"]


def test_one_image_has_one_source(fake: FakeImages, run: t.Callable[..., Json]) -> None:
    result = run(fake.host, [{"name": "own:1", "context": "/srv", "archive": "/srv/own.tar"}])
    assert "mutually exclusive" in result["msg"]


def test_what_the_host_does_not_let_it_do_is_a_sentence(fake: FakeImages, run: t.Callable[..., Json], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/tools/Dockerfile")

    monkeypatch.setattr(container_image.image, "settle", refuse)
    result = run(fake.host, [{"name": "own:1", "context": "/srv/tools"}])
    assert result["msg"] == "/srv/tools/Dockerfile cannot be used (Permission denied). Run with become: true, and see that it is there and has room."


def test_a_folder_that_is_not_there_is_a_sentence(fake: FakeImages, run: t.Callable[..., Json]) -> None:
    assert "The folder /nowhere to build the image own:1 from is not on the Docker host" in run(fake.host, [{"name": "own:1", "context": "/nowhere"}])["msg"]


@pytest.mark.parametrize("was_there", [False, True])
def test_an_archive_for_other_machines_is_refused_each_time(fake: FakeImages, run: t.Callable[..., Json], tmp_path: pathlib.Path, was_there: bool) -> None:
    (tmp_path / "images.tar").write_text(json.dumps({"own:1": image("foreign", architecture="arm64")}))
    if was_there:
        fake.images["own:1"] = image("old")
    for _time in range(2):
        result = run(fake.host, [{"name": "own:1", "id": "sha256:foreign", "archive": str(tmp_path / "images.tar")}])
        assert "The image own:1 from the archive is for arm64, and the engine runs on amd64. Pull or build it here" in result["msg"]
        if was_there:
            break
    assert ("own:1" in fake.images) == was_there
