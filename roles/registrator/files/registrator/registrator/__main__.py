# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``registrator [options] <registry URI>``."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
import typing as t

from . import VERSION, flags, host
from .engine import Engine, EngineError
from .log import Log
from .options import FLAGS, OptionError, Options, from_command_line
from .pipeline import Pipeline
from .registry import BadAddress, Registry, RegistryError, connect
from .template import TemplateError
from .web import serve

PROGRAM = "registrator"
PASSWORD = re.compile(r"//[^/@]*@")
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
        return _run(options, environment, log)
    except (BadAddress, EngineError, RegistryError, TemplateError, host.AddressError, OSError) as error:
        log.info(str(error))
        return FAILED


def _run(options: Options, environment: t.Mapping[str, str], log: Log) -> int:
    log.info(f"Starting registrator {VERSION} ...")
    if options.ip:
        log.info(f"Forcing host IP to {options.ip}")
    elif options.address_from:
        log.info(f"Using host IP {host.address(options.address_from)} from {options.address_from}")
    hostname = host.hostname()
    registry = connect(options, hostname, environment)
    log.info(f"Using {options.registry.partition(':')[0]} adapter: {PASSWORD.sub('//', options.registry)}")
    pipeline = Pipeline(Engine(environment), registry, options, hostname, log)
    # An event must not wait for the interpreter to hand over from a thread that reads a long list.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        _wait_for(registry, options, log)
        if options.listen:
            serve(options.listen, pipeline)
        pipeline.start()
        pipeline.run()
    except _Stopped:
        pipeline.stop()
        pipeline.leave()
    return DONE


class _Stopped(BaseException):
    """A signal asked the program to end."""


def _stop(number: int, frame: t.Any) -> t.NoReturn:
    signal.signal(number, signal.SIG_DFL)
    raise _Stopped


def _wait_for(registry: Registry, options: Options, log: Log) -> None:
    """Wait until the registry answers, as often as the options say. Raises RegistryError after the last try."""
    attempt = 0
    while True:
        log.info(f"Connecting to backend ({attempt}/{options.retry_attempts})")
        try:
            line = registry.ping()
        except RegistryError:
            if attempt == options.retry_attempts:
                raise
            time.sleep(options.retry_interval)
            attempt += 1
            continue
        if line:
            log.info(line)
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
