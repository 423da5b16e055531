# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node that all changes are made to, one after the other, and the images that it runs."""

from __future__ import annotations

import pathlib
import typing as t

import docker
import pytest
from node import Node
from table import ANOTHER, IMAGE, NEWER, NEXT, SAME

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def images() -> t.Iterator[None]:
    """Consul's image by another name, another image of its release, and one of a newer release."""
    engine = docker.from_env(timeout=120)
    engine.images.get(IMAGE).tag(SAME)
    for target, name in (("another", ANOTHER), ("newer", NEWER)):
        engine.images.build(
            path=str(HERE / "image"), target=target, tag=name, buildargs={"BASE": IMAGE, "RELEASE": ".".join(str(number) for number in NEXT)}, rm=True
        )
    yield
    for name in (SAME, NEWER, ANOTHER):
        engine.images.remove(name)
    engine.close()


@pytest.fixture(scope="session")
def node(images: None, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("changes"))
    node.remove()
    yield node
    node.remove()
    node.api.close()
