# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let the faults happen, one after the other, and print what came of them. Fails when anything is wrong."""

from __future__ import annotations

import argparse
import sys

from . import site, trial
from .faults import FAULTS, SHORT


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"all, when none is given: {', '.join(FAULTS)}")
    parser.add_argument("--short", action="store_true", help=f"only {' and '.join(SHORT)}")
    arguments = parser.parse_args()
    folder = site.PROJECT / ".cache" / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    results, workloads, wrong = [], [], []
    for name in arguments.faults or (SHORT if arguments.short else FAULTS):
        result, workload = trial.run(name, FAULTS[name], folder)
        results.append(result)
        workloads.append(workload)
        wrong += [f"{name}: {words}" for words in result.wrong]
        print(trial.table([result]).splitlines()[-1], *result.wrong, sep="\n  ", flush=True)
    wrong += trial.still_there(workloads)
    print("\n" + trial.table(results), *wrong, sep="\n")
    (folder / "table.md").write_text(trial.table(results) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
