# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of an image that is there, old, missing, refused, or out of reach."""

from __future__ import annotations

import io
import json
import pathlib
import tarfile
import tempfile
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.image_entries import folder_archive
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.image import (
    DIGEST_LABEL,
    MADE_LABEL,
    Entry,
    ImageError,
    Outcome,
    remove,
    settle,
    split_tag,
)
from fake_images import NO_REGISTRY, FakeImages, image
from hypothesis import given, settings
from hypothesis import strategies as st

OFFICIAL = "hashicorp/consul:1.18.2"
STAND_IN = "localhost/consul:1.8.7"
OWN = "localhost/registrator:1"
VERSION = {"org.opencontainers.image.version": "1.18.2"}


@pytest.fixture
def fake() -> t.Iterator[FakeImages]:
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeImages(f"{folder}/docker.sock")
        yield fake
        fake.close()


def outcome(fake: FakeImages, entry: Entry, check_mode: bool = False) -> Outcome:
    return settle(Engine(fake.host), entry, check_mode)


def test_an_image_that_is_there_is_described_and_left_alone(fake: FakeImages) -> None:
    fake.images[OFFICIAL] = image("one", VERSION)
    assert outcome(fake, Entry(OFFICIAL)) == Outcome(OFFICIAL, "none", "", "sha256:one", "1.18.2")
    assert fake.journal == []


def test_a_missing_image_is_pulled(fake: FakeImages) -> None:
    fake.registry[OFFICIAL] = image("one", VERSION)
    assert outcome(fake, Entry(OFFICIAL)) == Outcome(OFFICIAL, "pull", "", "sha256:one", "1.18.2")


class TestFallback:
    """`fallback` is for engines without a registry, and for nothing else."""

    ENTRY = Entry(OFFICIAL, fallback=STAND_IN)

    def test_the_image_itself_comes_first(self, fake: FakeImages) -> None:
        fake.images.update({OFFICIAL: image("one"), STAND_IN: image("two")})
        assert outcome(fake, self.ENTRY).name == OFFICIAL

    def test_one_that_is_there_does_without_asking_a_registry(self, fake: FakeImages) -> None:
        fake.images[STAND_IN] = image("two")
        fake.registry[OFFICIAL] = image("one")
        assert (outcome(fake, self.ENTRY).name, fake.journal) == (STAND_IN, [])

    def test_the_registry_comes_before_building(self, fake: FakeImages) -> None:
        fake.registry[OFFICIAL] = image("one")
        assert outcome(fake, self.ENTRY).action == "pull"

    @pytest.mark.parametrize(
        "words",
        [
            NO_REGISTRY,
            "Get https://registry.test/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
            "Get https://registry.test/v2/: dial tcp 192.0.2.1:443: connect: connection refused",
            "Get https://registry.test/v2/: net/http: TLS handshake timeout",
            "Get https://registry.test/v2/: context deadline exceeded",
        ],
    )
    def test_no_registry_means_that_the_controller_has_to_help(self, fake: FakeImages, words: str) -> None:
        fake.refusal = (500, words)
        missing = outcome(fake, self.ENTRY)
        assert (missing.name, missing.action) == (OFFICIAL, "missing")
        assert words in missing.reason

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            (404, "manifest for x not found: manifest unknown"),
            (404, "pull access denied for x, repository does not exist or may require 'docker login'"),
            (500, "toomanyrequests: You have reached your pull rate limit"),
            (500, "Get https://registry.test/v2/: x509: certificate signed by unknown authority"),
        ],
    )
    def test_a_registry_that_refuses_is_an_error(self, fake: FakeImages, status: int, words: str) -> None:
        fake.refusal = (status, words)
        with pytest.raises(ImageError, match="Correct the name, log in") as error:
            outcome(fake, self.ENTRY)
        assert OFFICIAL in str(error.value)
        assert words in str(error.value)

    def test_without_one_no_registry_is_an_error_that_names_the_way_out(self, fake: FakeImages) -> None:
        fake.refusal = (500, NO_REGISTRY)
        with pytest.raises(ImageError, match=r"hashicorp/consul:1\.18\.2 cannot be pulled: .*no such host.* Load it from an archive"):
            outcome(fake, Entry(OFFICIAL))


class TestPull:
    def test_a_download_that_breaks_off_is_an_error_though_the_answer_was_200(self, fake: FakeImages) -> None:
        fake.registry[OFFICIAL] = image("one")
        fake.breaks = "write /var/lib/docker/tmp/x: no space left on device"
        with pytest.raises(ImageError, match="no space left on device"):
            outcome(fake, Entry(OFFICIAL))

    def test_never_is_an_error_without_a_call(self, fake: FakeImages) -> None:
        with pytest.raises(ImageError, match="may not be pulled"):
            outcome(fake, Entry(OFFICIAL, pull="never"))
        assert fake.journal == []

    @pytest.mark.parametrize(("in_registry", "action"), [("one", "none"), ("two", "pull")])
    def test_always_is_a_change_when_another_image_comes(self, fake: FakeImages, in_registry: str, action: str) -> None:
        fake.images[OFFICIAL] = image("one")
        fake.registry[OFFICIAL] = image(in_registry)
        assert outcome(fake, Entry(OFFICIAL, pull="always")) == Outcome(OFFICIAL, action, "", f"sha256:{in_registry}")

    @pytest.mark.parametrize("name", [OFFICIAL, STAND_IN])
    def test_always_keeps_what_is_there_without_a_registry_and_says_why(self, fake: FakeImages, name: str) -> None:
        fake.images[name] = image("one")
        fake.refusal = (500, NO_REGISTRY)
        kept = outcome(fake, Entry(OFFICIAL, fallback=STAND_IN, pull="always"))
        assert (kept.name, kept.action, kept.id) == (name, "none", "sha256:one")
        assert "no such host" in kept.reason


class TestId:
    ENTRY = Entry(OFFICIAL, id="sha256:one", fallback=STAND_IN)

    def test_another_image_of_that_name_is_replaced(self, fake: FakeImages) -> None:
        fake.images.update({OFFICIAL: image("old"), STAND_IN: image("two")})
        fake.registry[OFFICIAL] = image("one")
        assert outcome(fake, self.ENTRY) == Outcome(OFFICIAL, "pull", "", "sha256:one")

    def test_a_source_that_holds_another_one_is_an_error(self, fake: FakeImages) -> None:
        fake.registry[OFFICIAL] = image("evil")
        with pytest.raises(ImageError, match="is sha256:evil, but sha256:one is wanted"):
            outcome(fake, self.ENTRY)

    def test_another_image_is_an_error_without_a_registry(self, fake: FakeImages) -> None:
        fake.images[OFFICIAL] = image("old")
        fake.refusal = (500, NO_REGISTRY)
        with pytest.raises(ImageError, match="is sha256:old, but sha256:one is wanted"):
            outcome(fake, self.ENTRY)


class TestArchive:
    def test_it_is_loaded_when_the_image_is_missing(self, fake: FakeImages, tmp_path: pathlib.Path) -> None:
        archive = tmp_path / "x.tar"
        archive.write_text(json.dumps({OFFICIAL: image("one")}))
        assert outcome(fake, Entry(OFFICIAL, archive=str(archive))).action == "load"
        assert outcome(fake, Entry(OFFICIAL, archive=str(tmp_path / "gone"))).action == "none"

    def test_one_that_is_not_there(self, fake: FakeImages, tmp_path: pathlib.Path) -> None:
        with pytest.raises(ImageError, match=r"cannot be read \(No such file or directory\)\. Copy it"):
            outcome(fake, Entry(OFFICIAL, archive=str(tmp_path / "gone")))

    def test_one_that_holds_another_image(self, fake: FakeImages, tmp_path: pathlib.Path) -> None:
        (tmp_path / "x.tar").write_text(json.dumps({"other:1": image("one")}))
        with pytest.raises(ImageError, match=f"does not hold the image {OFFICIAL}. Make it with: docker save {OFFICIAL}"):
            outcome(fake, Entry(OFFICIAL, archive=str(tmp_path / "x.tar")))

    def test_one_that_was_built_from_other_files(self, fake: FakeImages, tmp_path: pathlib.Path) -> None:
        (tmp_path / "x.tar").write_text(json.dumps({"own:1": image("one", {DIGEST_LABEL: "then"})}))
        assert outcome(fake, Entry("own:1", archive=str(tmp_path / "x.tar"), digest="then")).action == "load"
        with pytest.raises(ImageError, match="was built from other files than those that are there now"):
            outcome(fake, Entry("own:1", archive=str(tmp_path / "x.tar"), digest="now"))

    def test_one_that_is_broken_is_told_in_the_engines_words(self, fake: FakeImages, tmp_path: pathlib.Path) -> None:
        (tmp_path / "x.tar").write_text("{}")
        fake.breaks = "archive/tar: invalid tar header"
        with pytest.raises(Exception, match=r"load the archive .* invalid tar header"):
            outcome(fake, Entry(OFFICIAL, archive=str(tmp_path / "x.tar")))


class TestBuild:
    @pytest.fixture
    def folder(self, tmp_path: pathlib.Path) -> pathlib.Path:
        (tmp_path / "below").mkdir()
        (tmp_path / "Dockerfile").write_text("FROM x")
        (tmp_path / "below" / "file").write_text("text")
        return tmp_path

    def test_files_of_the_controller_arrive_with_the_call(self, fake: FakeImages, folder: pathlib.Path) -> None:
        entry = Entry(OWN, files=folder_archive(str(folder)), digest="d1", arguments={"BASE": "x", "JOBS": 2})
        assert outcome(fake, entry).action == "build"
        assert fake.contexts == [{"Dockerfile": "FROM x", "below/file": "text"}]
        built = fake.images[OWN]
        assert built["Arguments"] == {"BASE": "x", "JOBS": "2"}
        assert built["Config"]["Labels"] == {MADE_LABEL: "image", DIGEST_LABEL: "d1"}

    def test_only_other_files_build_again(self, fake: FakeImages, folder: pathlib.Path) -> None:
        for digest, action in (("d1", "build"), ("d1", "none"), ("d2", "build"), ("d2", "none")):
            assert outcome(fake, Entry(OWN, context=str(folder), digest=digest)).action == action

    @pytest.mark.parametrize("used", [False, True])
    def test_the_image_that_it_replaces_goes_unless_it_is_used(self, fake: FakeImages, folder: pathlib.Path, used: bool) -> None:
        outcome(fake, Entry(OWN, context=str(folder), digest="d1"))
        fake.used = {fake.images[OWN]["Id"]} if used else set()
        assert outcome(fake, Entry(OWN, context=str(folder), digest="d2")).action == "build"
        assert fake.journal[-1] == "DELETE /images/sha256:built1"

    def test_what_it_replaces_is_kept_when_others_made_it(self, fake: FakeImages, folder: pathlib.Path) -> None:
        fake.images[OWN] = image("others")
        assert outcome(fake, Entry(OWN, context=str(folder), digest="d2")).action == "build"
        assert fake.journal == ["POST /build"]

    def test_before_its_files_are_sent_it_is_missing_and_no_registry_is_asked(self, fake: FakeImages) -> None:
        assert outcome(fake, Entry(OWN, digest="d1", on_controller=True)).action == "missing"
        assert fake.journal == []

    def test_a_build_that_fails_shows_its_last_lines(self, fake: FakeImages, folder: pathlib.Path) -> None:
        fake.breaks = "The command 'apt-get update' returned a non-zero code: 100"
        with pytest.raises(Exception, match=r"(?s)could not build the image .*non-zero code: 100 The last lines:\nStep 1"):
            outcome(fake, Entry(OWN, context=str(folder)))

    def test_files_that_are_none(self, fake: FakeImages) -> None:
        with pytest.raises(ImageError, match="could not be unpacked"):
            outcome(fake, Entry(OWN, files="bm8gdGFy"))


def test_a_folder_becomes_an_image_without_what_apt_left(fake: FakeImages, tmp_path: pathlib.Path) -> None:
    for name in (
        "etc/os-release",
        "usr/bin/su",
        "var/cache/apt/archives/a.deb",
        "var/cache/apt/pkgcache.bin",
        "var/lib/apt/lists/deb_x",
        "var/log/bootstrap.log",
    ):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(name)
    (tmp_path / "root/usr/bin/su").chmod(0o4755)
    (tmp_path / "root/bin").symlink_to("usr/bin")
    assert outcome(fake, Entry("localhost/base:1", rootfs=str(tmp_path / "root"))).action == "import"
    with tarfile.open(fileobj=io.BytesIO(fake.imported)) as tar:
        found = {member.name: member for member in tar.getmembers()}
    assert {name for name, member in found.items() if not member.isdir()} == {"./etc/os-release", "./usr/bin/su", "./bin"}
    assert (found["./usr/bin/su"].mode, found["./bin"].linkname, found["./etc"].uname) == (0o4755, "usr/bin", "")
    assert list(tmp_path.iterdir()) == [tmp_path / "root"]
    assert fake.images["localhost/base:1"]["Config"]["Labels"] == {MADE_LABEL: "image"}


def test_only_what_was_made_here_is_removed(fake: FakeImages) -> None:
    fake.images.update({OWN: image("one", {MADE_LABEL: "image"}), OFFICIAL: image("two")})
    engine = Engine(fake.host)
    assert remove(engine, OWN, check_mode=True)
    assert OWN in fake.images
    assert [remove(engine, name, check_mode=False) for name in (OWN, OWN, OFFICIAL)] == [True, False, False]
    assert set(fake.images) == {OFFICIAL}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("consul", ("consul", "latest")),
        ("hashicorp/consul:1", ("hashicorp/consul", "1")),
        ("host:5000/a", ("host:5000/a", "latest")),
        ("host:5000/a:1", ("host:5000/a", "1")),
        ("host:5000/a@sha256:00", ("host:5000/a", "sha256:00")),
    ],
)
def test_names_are_split_where_engines_split_them(name: str, parts: tuple[str, str]) -> None:
    assert split_tag(name) == parts


SOURCES = st.sampled_from(
    [
        {},
        {"pull": "never"},
        {"fallback": STAND_IN},
        {"fallback": STAND_IN, "pull": "never"},
        {"digest": "d1", "on_controller": True},
        {"digest": "d1", "context": "."},
        {"context": "."},
    ]
)


@settings(max_examples=60)
@given(source=SOURCES, held=st.dictionaries(st.sampled_from([OFFICIAL, STAND_IN]), st.sampled_from(["d1", "d2"])))
def test_check_mode_predicts_and_a_second_run_changes_nothing(source: dict[str, t.Any], held: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeImages(f"{folder}/docker.sock")
        try:
            fake.images = {name: image(digest, {DIGEST_LABEL: digest}) for name, digest in held.items()}
            fake.registry[OFFICIAL] = image("new")
            (context := pathlib.Path(folder, "context")).mkdir()
            (context / "Dockerfile").write_text("FROM x")
            entry = Entry(OFFICIAL, **{**source, **({"context": str(context)} if "context" in source else {})})
            if entry.pull == "never" and not {OFFICIAL, entry.fallback} & held.keys():
                for check_mode in (True, False):
                    with pytest.raises(ImageError):
                        outcome(fake, entry, check_mode)
                return
            predicted = outcome(fake, entry, check_mode=True)
            assert fake.journal == []
            done = outcome(fake, entry)
            assert (predicted.name, predicted.action) == (done.name, done.action)
            assert outcome(fake, entry).action == ("missing" if done.action == "missing" else "none")
        finally:
            fake.close()
