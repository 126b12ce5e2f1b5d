# SPDX-License-Identifier: GPL-2.0-or-later
"""TAP from tests that are written in Python: pycotap prints it, and names are sentences.

    sys.exit(tap.run(tap.Test(f"links of {page}", check_links, page) for page in PAGES))

A test passes when its function returns, and fails when it raises; AssertionError has a message for
the reader. unittest.SkipTest skips. What the function prints is shown below its result.
"""
import sys
import unittest

from pycotap import LogMode, TAPTestRunner

# unittest leaves this file's frames out of tracebacks
__unittest = True


class Test(unittest.TestCase):
    """A test that calls a function."""

    def __init__(self, name, function, *arguments):
        super().__init__()
        # a '#' in a name would begin a directive; a docstring may have lines
        self._name = " ".join(name.replace("#", "").split())
        self._function, self._arguments = function, arguments

    def id(self):
        return f"- {self._name}"

    def runTest(self):
        self._function(*self._arguments)


def expect_nothing(faults):
    """Fails with the faults found, one a line."""
    if faults := list(faults):
        raise AssertionError("\n".join(["", *map(str, faults)]))


def run(tests, bail_out=(), in_order=False):
    """Runs TESTS; returns the exit status. TESTS may be a generator: an exception of BAIL_OUT in it
    ends all tests. IN_ORDER: the first failure does so, too."""
    def run_all(result):
        result.failfast = in_order
        for test in tests:
            test(result)
            if result.shouldStop:
                return

    stdout, stderr = sys.stdout, sys.stderr
    runner = TAPTestRunner(message_log=LogMode.LogToDiagnostics,
                           test_output_log=LogMode.LogToDiagnostics)
    try:
        return 0 if runner.run(run_all).wasSuccessful() else 1
    except bail_out as error:
        sys.stdout, sys.stderr = stdout, stderr
        print(f"Bail out! {' '.join(str(error).split())}", flush=True)
        return 2
