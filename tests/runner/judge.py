# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges a test program's output and exit status. What is not clearly a pass is a failure."""
import collections
import re
import signal
from dataclasses import dataclass, field

from mesonbuild.mtest import TAPParser, TestResult

SHOWN_LINES = 20
TODO = "TODO is not allowed: fix it, or remove the test"
PROGRAM = "the program"


@dataclass
class Failure:
    """A test that failed, why, and the lines that explain it."""

    test: str
    why: str
    lines: list = field(default_factory=list)


class Judge:
    """Judges one row: read() takes its TAP line by line, then end() its exit status."""

    def __init__(self, row, allowed):
        self.counts, self.failures, self.skips = collections.Counter(), [], []
        self._row = row
        self._allowed = [pattern for name, pattern in allowed if name == row.name]
        self._parser = TAPParser()
        self._bailed_out = False

    def read(self, line):
        """Takes one line of output."""
        if line.startswith("#") and self.failures and len(self.failures[-1].lines) < SHOWN_LINES:
            self.failures[-1].lines.append(line.rstrip("\n"))
        self._take(self._parser.parse_line(line))

    def fail(self, test, why, lines=()):
        """Count a failure."""
        self.counts["failed"] += 1
        self.failures.append(Failure(test, why, list(lines)))

    def end(self, status, late, log):
        """Judges the end of the program. STATUS is as subprocess has it. LATE is the number of
        seconds after which it was ended, or 0. LOG has the last lines of its stderr."""
        self._take(self._parser.parse_line(None), log)
        plan = self._parser.plan
        if not self._bailed_out:
            if plan and plan.num_tests == 0 and (plan.explanation or "").strip():
                self._skip("the whole program", "", plan.explanation)
            elif not self._parser.num_tests:
                self.fail(PROGRAM, "ran no test", log)
            elif not plan:
                self.fail(PROGRAM, "printed no plan, a line 1..N", log)
        if late:
            self.fail(PROGRAM, f"ran longer than {late:g} s and was ended", log)
        if status and not self.failures:
            self.fail(PROGRAM, f"ended with {describe_status(status)} though no test failed", log)

    def _take(self, events, log=()):
        for event in events:
            if isinstance(event, TAPParser.Test):
                self._judge(event)
            elif isinstance(event, TAPParser.Bailout):
                self._bailed_out = True
                self.fail(PROGRAM, f"bailed out: {event.message}", log)
            elif isinstance(event, TAPParser.Error):
                self.fail(PROGRAM, f"printed no proper TAP: {event.message}", log)

    def _judge(self, test):
        name = test.name.removeprefix("- ")
        label = f"{test.number} - {name}" if name else str(test.number)
        if test.result in (TestResult.EXPECTEDFAIL, TestResult.UNEXPECTEDPASS):
            self.fail(label, TODO)
        elif test.result == TestResult.SKIP:
            self._skip(label, name, test.explanation or "")
        elif test.result == TestResult.OK:
            self.counts["passed"] += 1
        else:
            self.fail(label, "")

    def _skip(self, label, name, reason):
        reason = reason.strip()
        if not reason:
            self.fail(label, "skipped without a reason")
        elif any(re.fullmatch(pattern, name) for pattern in self._allowed):
            self.counts["skipped"] += 1
            self.skips.append(f"{self._row.name}: {label}: {reason}")
        else:
            self.fail(label, f"skipped, which tests/allowed-skips does not allow: {reason}")


def describe_status(status):
    """Text for a status as subprocess has it, negative for a signal. For a program under strace or
    a shell it is the status that they report."""
    if status < 0:
        return f"signal {-status} ({signal.Signals(-status).name})"
    return f"exit status {status}"
