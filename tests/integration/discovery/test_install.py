# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library is installed as its readers are told, and works alone."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import typing as t

import pytest

TOP = pathlib.Path(__file__).resolve().parents[3]
EXAMPLE = """
import consul_discovery, importlib.metadata, importlib.resources, sys
assert sys.prefix in consul_discovery.__file__, consul_discovery.__file__
assert importlib.resources.files("consul_discovery").joinpath("py.typed").is_file()
found = importlib.metadata.metadata("consul_discovery")
assert (found["Version"], found["License"], found["Requires-Python"]) == (consul_discovery.__version__, "MIT", ">=3.9"), dict(found)
try:
    with consul_discovery.Client("http://127.0.0.1:1") as consul:
        consul.watch("web").wait(0.1)
except consul_discovery.NotReady as error:
    print(error)
"""


def run(*words: t.Any, **options: t.Any) -> str:
    return subprocess.run([str(word) for word in words], check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def git_url(folder: pathlib.Path) -> str:
    """A repository of its own, with what git knows of the work tree."""
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "python", cwd=TOP)
    repository = folder / "repository"
    repository.mkdir()
    archive = subprocess.run(["tar", "-cT", "-"], cwd=TOP, input=files.encode(), stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=repository, input=archive, check=True)
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.invalid")
    run("git", "init", "--quiet", cwd=repository)
    run("git", "add", "--all", cwd=repository)
    run(*git, "commit", "--quiet", "--message", "x", cwd=repository)
    return f"git+file://{repository}#subdirectory=python/consul_discovery"


def tarball(folder: pathlib.Path) -> str:
    """The collection's, unpacked, as Galaxy has it."""
    run(pathlib.Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", folder, cwd=TOP)
    (found,) = folder.glob("*.tar.gz")
    unpacked = folder / "collection"
    unpacked.mkdir()
    run("tar", "-xf", found, "-C", unpacked)
    return str(unpacked / "python/consul_discovery")


@pytest.mark.parametrize("source", [git_url, tarball])
def test_it_is_installed(source: t.Callable[[pathlib.Path], str], tmp_path: pathlib.Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    binaries = tmp_path / "venv/bin"
    run(binaries / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", source(tmp_path))
    # Away from the sources, which would be found first.
    assert "refuses connections" in run(binaries / "python", "-I", "-c", EXAMPLE, cwd=tmp_path)
    assert run(binaries / "consul-discovery", "--version", cwd=tmp_path) == "consul-discovery 0.1.0\n"
    packages = run(binaries / "python", "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check").split()
    assert {package.partition("==")[0].replace("-", "_").lower() for package in packages} <= {"consul_discovery", "pip", "setuptools"}
