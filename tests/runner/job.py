# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the program of a row in a process group, so that it can be ended with all its children."""
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import host
from judge import SHOWN_LINES, Judge
from table import TOP

RESULTS, LOGS = TOP / "build" / "results", TOP / "build" / "logs"
# Seconds between SIGTERM, at which the test removes what it made, and SIGKILL; scaled.
TERM_GRACE = 10
# Variables that rows do not get: those of make, and those that select rows, so that a row that asks
# for the list gets all of it
NOT_FOR_ROWS = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ONLY", "BUDGET", "FORCE", "VPMU_BASE",
                "VPMU_BUILD")


def is_python(program):
    """Whether a program is Python. build/venv runs these, with its packages and the modules in
    tests/lib, testbed and tests/demo."""
    with open(TOP / program, "rb") as file:
        return program.endswith(".py") or b"python" in file.readline()


def build_command(row):
    """Argument list and environment of a row's program."""
    program, *arguments = row.command
    environment = dict(word.split("=", 1) for word in row.defaults)
    environment |= {name: value for name, value in os.environ.items() if name not in NOT_FOR_ROWS}
    if is_python(program):
        return [sys.executable, program, *arguments], environment
    return [f"./{program}", *arguments], environment


def tail(path):
    """The last lines of a file, for a report."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]


class Job:
    """One run of a row."""

    def __init__(self, row, limit, tracer=None):
        self.row, self._limit, self._tracer = row, limit, tracer
        self.tap, self.log = RESULTS / f"{row.file}.tap", LOGS / f"{row.file}.log"
        self._process, self._late, self._ended = None, 0, threading.Event()
        self.seconds = 0.0

    def run(self, allowed):
        """Runs the program; returns its Judge."""
        judge = Judge(self.row, allowed)
        start = time.monotonic()
        try:
            status = self._run(judge)
        except OSError as error:
            judge.end(127, 0, [f"cannot run {self.row.command[0]}: {error.strerror}"])
        else:
            judge.end(status, self._limit if self._late else 0, tail(self.log))
        self.seconds = time.monotonic() - start
        return judge

    def _run(self, judge):
        command, environment = build_command(self.row)
        with open(self.log, "wb") as log, open(self.tap, "w", encoding="utf-8") as tap, \
                contextlib.ExitStack() as stack:
            if self._tracer:
                command = stack.enter_context(self._tracer.trace(command))
            self._process = subprocess.Popen(command, cwd=TOP, env=environment,
                                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                             stderr=log, text=True, errors="replace",
                                             process_group=0)
            guard = threading.Thread(target=self._guard)
            guard.start()
            try:
                for line in self._process.stdout:
                    tap.write(line)
                    judge.read(line)
                return self._process.wait()
            finally:
                self._ended.set()
                guard.join()

    def _guard(self):
        """Ends the program when its time is over."""
        if not self._ended.wait(self._limit):
            self._late = 1
            self.end()

    def end(self):
        """End the program, if it runs."""
        if self._process:
            self._signal(signal.SIGTERM)
            if not self._ended.wait(host.scale_timeout(TERM_GRACE)):
                self._signal(signal.SIGKILL)

    def _signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
