# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs tests of pmu-hybrid in the emulated host, and prints TAP.

    python3 run.py QEMU GUEST TIMEOUT stock|patched TOPOLOGY MODULE[:TEST]...

Kernel and topology are those of the host. The patched kernel has the fixed-counters mode; tests
that do not depend on it run on the stock one. MODULE is beside this file; TEST is a regular
expression that selects tests of the module by name.
"""

import importlib
import re
import sys

from vm import KERNEL


def list_tests(wanted):
    """Yields name, claim, function and arguments of each test that is wanted on this kernel."""
    module, _, pattern = wanted.partition(":")
    contents = vars(importlib.import_module(module))
    kernel = contents.get("ONLY_ON", KERNEL)
    for name, function in contents.items():
        if not name.startswith("test_") or getattr(function, "kernel", kernel) != KERNEL:
            continue
        name = f"{module}:{name.removeprefix('test_')}"
        for row, arguments in getattr(function, "rows", {None: None}).items():
            full = f"{name} {row}" if row is not None else name
            if re.search(pattern, full):
                yield (full, " ".join(function.__doc__.split()), function,
                       [] if row is None else [arguments])


def run_tests(tests):
    """Runs the tests; returns whether all passed."""
    good = True
    print(f"1..{len(tests)}", flush=True)
    for number, (name, claim, function, arguments) in enumerate(tests, 1):
        line = f"ok {number} - {name}: {claim}"
        try:
            function(*arguments)
        except Exception as error:  # one broken test must not hide the others
            good = False
            line = f"not {line}\n# {type(error).__name__}: " + str(error).replace("\n", "\n# ")
        print(line, flush=True)
    return good


def main():
    """Runs the tests of the command line; returns the exit status."""
    tests = []
    for wanted in sys.argv[6:]:
        found = list(list_tests(wanted))
        if not found:
            sys.exit(f"run.py: error: no test {wanted} for the {KERNEL} kernel")
        tests += found
    return 0 if run_tests(tests) else 1


if __name__ == "__main__":
    sys.exit(main())
