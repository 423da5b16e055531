# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``registrator [options] <registry URI>``."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import typing as t

from . import VERSION, flags, host_address
from .engine import Engine, EngineError
from .log import Log
from .mark import Owner
from .options import FLAGS, OptionError, Options, from_command_line
from .pipeline import Pipeline
from .registry import BadAddress, Registry, RegistryError, connect, shown
from .template import TemplateError
from .web import serve

PROGRAM = "registrator"
SIGNALS = (signal.SIGTERM, signal.SIGINT)
SWITCH_INTERVAL_S = 0.001
DONE, FAILED, MISUSED = 0, 1, 2


def main(arguments: t.Sequence[str], environment: t.Mapping[str, str]) -> int:
    """Run until a signal ends it, and return the exit code."""
    if list(arguments) == ["--version"]:
        print(VERSION)
        return DONE
    debug = bool(environment.get("REGISTRATOR_DEBUG"))
    try:
        options = from_command_line(arguments)
    except flags.HelpRequested:
        print(flags.usage(FLAGS, PROGRAM), file=sys.stderr)
        return DONE
    except flags.UsageError as error:
        print(f"{error}\n{flags.usage(FLAGS, PROGRAM)}", file=sys.stderr)
        return MISUSED
    except OptionError as error:
        Log().info(str(error))
        return FAILED
    log = Log(debug, options.log_format)
    try:
        with _signals_held():
            return _run(options, environment, log)
    except (BadAddress, EngineError, RegistryError, TemplateError, host_address.AddressError, OSError) as error:
        log.info(str(error))
        return FAILED


def _run(options: Options, environment: t.Mapping[str, str], log: Log) -> int:
    log.info(f"Starting registrator {VERSION} ...")
    if options.ip:
        log.info(f"Forcing host IP to {options.ip}")
    elif options.address_from:
        log.info(f"Using host IP {host_address.address(options.address_from)} from {options.address_from}")
    hostname = socket.gethostname()
    registry = connect(options, Owner(options.owner or hostname, hostname), environment)
    log.info(f"Using {options.registry.partition(':')[0]} adapter: {shown(options.registry)}")
    pipeline = Pipeline(Engine(environment), registry, options, hostname, log)
    pipeline.ended = lambda: os.kill(os.getpid(), signal.SIGTERM)
    # An event must not wait for the interpreter to hand over from a thread that reads a long list.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if not _wait_for(registry, options, log):
        return DONE
    if options.listen:
        serve(options.listen, pipeline)
    pipeline.start()
    signal.sigwait(SIGNALS)
    # Who asks twice is not kept waiting.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    pipeline.stop()
    if pipeline.fatal:
        raise pipeline.fatal
    pipeline.leave()
    return DONE


@contextlib.contextmanager
def _signals_held() -> t.Iterator[None]:
    """Have the signals that end the program wait until they are asked for: they interrupt nothing, in no thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_for(registry: Registry, options: Options, log: Log) -> bool:
    """Wait until the registry answers, as often as the options say; tell whether it did before a signal came.

    Raises RegistryError after the last try.
    """
    attempt = 0
    while True:
        log.info(f"Connecting to backend ({attempt}/{options.retry_attempts})")
        try:
            line = registry.ping()
        except RegistryError:
            if attempt == options.retry_attempts:
                raise
            if signal.sigtimedwait(SIGNALS, options.retry_interval):
                return False
            attempt += 1
            continue
        if line:
            log.info(line)
        return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
