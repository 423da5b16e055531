# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""``consul-discovery``: what the library knows, for a shell."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import typing as t

from . import __version__
from .changes import Change
from .client import Client
from .environment import from_environment
from .errors import ConfigurationError, DiscoveryError, NotReady
from .follower import CONFIRM, EMPTY_POLICIES

FOUND, NONE, USAGE, NOT_READY = 0, 1, 2, 3
_EPILOG = """\
exit codes of get:
  0  an instance was found
  1  Consul has none that can be used
  2  the command cannot be understood
  3  there is no list: Consul does not answer, or refuses
What is not given is taken from CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN_FILE, CONSUL_CACERT and the other variables of
Consul's own command. A token is given in a file or in CONSUL_HTTP_TOKEN, never as an argument, which everyone sees.
"""


def main(arguments: t.Optional[t.Sequence[str]] = None) -> int:
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return t.cast(int, given.run(given))
    except NotReady as error:
        print(error, file=sys.stderr)
        return NOT_READY
    except ConfigurationError as error:
        print(f"consul-discovery: {error}", file=sys.stderr)
        return USAGE
    except DiscoveryError as error:
        print(error, file=sys.stderr)
        return NONE
    except BrokenPipeError:
        # Whoever read has gone; what Python would say about it at its end is of no use either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="consul-discovery", description="Find services with Consul.", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    get = commands.add_parser("get", help="print the instances of a service once", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    get.set_defaults(run=_get)
    watch = commands.add_parser("watch", help="print the instances, then each change, until it is ended")
    watch.set_defaults(run=_watch)
    render = commands.add_parser("render", help="keep files up to date for programs that know nothing of Consul")
    render.set_defaults(run=_render)
    render.add_argument("--config", required=True, metavar="FILE", help="what is rendered, in TOML")
    render.add_argument("--once", action="store_true", help="render all once, and end: with 0 when all is well, 1 when a file was left as it was")
    render.add_argument("--dry-run", action="store_true", help="print what would be changed, and change and run nothing")
    render.add_argument("--judge", action="store_true", help="judge the configuration, its templates and its users, and ask and change nothing")
    render.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="with --once and --dry-run: how long the lists may take")
    for command in (get, watch):
        _service_options(command)
        agent_options(command)
    return parser


def _service_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("service")
    command.add_argument("--tag", action="append", default=[], metavar="TAG", help="only instances with this tag; each one that is given is needed")
    command.add_argument("--warning", action="store_true", help="also instances whose checks warn")
    command.add_argument("--empty", choices=EMPTY_POLICIES, default=CONFIRM, help="what is done when the list becomes empty (%(default)s)")
    command.add_argument("--json", action="store_true", help="print JSON, one object a line")
    command.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="how long the first list may take (%(default)s)")


def agent_options(command: argparse.ArgumentParser) -> None:
    """What every command wants to know of the agent, under the names of ``Client``'s options."""
    group = command.add_argument_group("the agent")
    group.add_argument("--url", help="http://, https:// or unix:// (http://127.0.0.1:8500)")
    group.add_argument("--token-file", metavar="FILE")
    group.add_argument("--ca-file", metavar="FILE")
    group.add_argument("--client-cert", metavar="FILE")
    group.add_argument("--client-key", metavar="FILE")
    group.add_argument("--tls-server-name", metavar="NAME")
    group.add_argument("--datacenter", metavar="NAME")
    group.add_argument("--cache-file", metavar="FILE", help="where the last lists are kept, for when Consul is away")


def client(given: argparse.Namespace) -> Client:
    names = ("url", "token_file", "ca_file", "client_cert", "client_key", "tls_server_name", "datacenter", "cache_file")
    options = {name: getattr(given, name) for name in names if getattr(given, name)}
    inherited = from_environment(os.environ)
    if "token_file" in options:
        inherited.pop("token", None)
    return Client(**{**inherited, **options})


def _render(given: argparse.Namespace) -> int:
    # What it needs is an extra, which others do without.
    from .render.main import render

    return render(given)


def _get(given: argparse.Namespace) -> int:
    with client(given) as consul:
        instances = consul.watch(given.service, given.tag, warning=given.warning, empty=given.empty).wait(given.timeout)
        for instance in instances:
            print(json.dumps(instance.as_dict()) if given.json else instance)
        sys.stdout.flush()
    return FOUND if instances else NONE


def _watch(given: argparse.Namespace) -> int:
    ended = threading.Event()
    failures: t.List[OSError] = []

    def tell(change: Change) -> None:
        try:
            print(json.dumps(change.as_dict()) if given.json else change, flush=True)
        except OSError as error:
            failures.append(error)
            ended.set()

    signal.signal(signal.SIGTERM, lambda *_unused: ended.set())
    with client(given) as consul:
        consul.watch(given.service, given.tag, warning=given.warning, empty=given.empty).subscribe(tell)
        ended.wait()
    if failures:
        raise failures[0]
    return 0
