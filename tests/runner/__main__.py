# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the rows of tests/table, which are programs that print TAP, and says what came of it.

    tests/run [ROW...]          these rows, or all of the set core; ROW is a name or the path of a program
    tests/run --full            all rows
    tests/run --list            all rows with what they claim

ONLY=REGEX  only rows whose name matches        JOBS=N  so many at a time (2); rows that are marked alone run at the end

A row's TAP goes to build/results/NAME.tap, its stderr to build/logs/NAME.log. Skips and TODO do not pass: a green run that skipped what
it was for must be impossible.
"""
import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from job import LOGS, RESULTS, Job
from table import TOP, Table, UsageError, read_allowed_skips

# Tests end hangs themselves, with a better message; this is for a test that fails to.
TIME_LIMIT = 3600
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_number(name, default, pattern, what, convert):
    """An environment variable."""
    text = os.environ.get(name) or default
    if not re.fullmatch(pattern, text):
        raise UsageError(f"{name}={text}; give {what}")
    return convert(text)


class Interrupted(Exception):
    """By a signal, its number."""


class Run:
    """Runs rows, prints a line for each, and keeps what the end tells."""

    def __init__(self, allowed, jobs):
        self._allowed, self._most = allowed, jobs
        self._limit = read_number("VPMU_TEST_TIME_LIMIT", str(TIME_LIMIT), r"[0-9]*\.?[0-9]+", "a number of seconds", float)
        self._jobs, self._lock = {}, threading.Lock()
        self.counts, self.failed, self.skips, self.failures = collections.Counter(), [], [], []

    def run(self, rows):
        """Those that run alone come last."""
        with ThreadPoolExecutor(max_workers=self._most) as executor:
            try:
                for row in sorted(rows, key=lambda row: row.alone):
                    self._wait(0 if row.alone else self._most - 1)
                    self._start(executor, row)
                self._wait(0)
            except Interrupted as interruption:
                names = sorted(job.row.name for job in self._jobs.values())
                print(f"\nended by {signal.Signals(interruption.args[0]).name} while these ran: {' '.join(names)}", flush=True)
                for ender in [threading.Thread(target=job.end) for job in self._jobs.values()]:
                    ender.start()
                raise

    def _start(self, executor, row):
        job = Job(row, self._limit)
        self._jobs[executor.submit(job.run, self._allowed)] = job

    def _wait(self, most):
        """Until no more than so many run."""
        while len(self._jobs) > most:
            for future in wait(self._jobs, return_when=FIRST_COMPLETED).done:
                self._take(self._jobs.pop(future), future.result())

    def _take(self, job, judge):
        said = [f"{judge.counts[word]} {'FAILED' if word == 'failed' else word}"
                for word in ("passed", "failed", "skipped") if judge.counts[word]]
        print(f"{job.row.name:40} {', '.join(said)} ({job.seconds:.1f} s)", flush=True)
        self.counts += judge.counts
        self.skips += judge.skips
        self.failed += [f"{job.row.name}: {failure.test}" for failure in judge.failures]
        if judge.failures:
            self.failures += list(describe_failures(job, judge))

    def report(self):
        """The end of what is printed; returns the exit status."""
        for title, lines in (("Skipped:", self.skips), ("Failed:", self.failures)):
            if lines:
                print("\n".join(["", title, *(f"  {line}" for line in lines)]))
        # Again and in short: of a long run it may be the end that is kept
        if self.failed:
            print("\n" + "\n".join(f"FAILED {line}" for line in self.failed))
        print(f"\n{self.counts['passed']} passed, {self.counts['failed']} failed, {self.counts['skipped']} skipped")
        return 1 if self.counts["failed"] else 0


def describe_failures(job, judge):
    """Lines of the report."""
    for failure in judge.failures:
        yield f"{job.row.name}: {failure.test}" + (f": {failure.why}" if failure.why else "")
        yield from (f"    {line}" for line in failure.lines)
    yield f"  TAP: {job.tap.relative_to(TOP)}    stderr: {job.log.relative_to(TOP)}    again: tests/run {job.row.name}"


def print_list(rows):
    """All there is to know of them without running them."""
    for row in rows:
        print(f"{row.name}: {row.claim}\n    {'core' if row.core else 'full'}{', alone' if row.alone else ''}, {row.seconds} s: "
              f"{' '.join(row.command)}")


def make_needs(rows):
    """What rows need that `make all` does not build."""
    targets = list(dict.fromkeys(target for row in rows for target in row.needs))
    if targets and subprocess.run(["make", "-C", TOP, "--no-print-directory", *targets], stdin=subprocess.DEVNULL, check=False).returncode:
        raise UsageError(f"make {' '.join(targets)} failed, which rows to be run need; see above")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true", help="build first what rows need beyond `make all`")
    parser.add_argument("--full", action="store_true", help="all rows, not only those of the set core")
    parser.add_argument("--list", action="store_true", help="print the rows")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    return parser.parse_args()


def handle_signal(number, _):
    for handled in SIGNALS:
        signal.signal(handled, signal.SIG_IGN)
    raise Interrupted(number)


def main():
    """Returns the exit status."""
    options = parse_arguments()
    jobs = read_number("JOBS", "2", "[1-9][0-9]*", "a number from 1", int)
    only = os.environ.get("ONLY", "")
    try:
        re.compile(only)
    except re.error as error:
        raise UsageError(f"ONLY={only} is no regular expression ({error}); use a part of a row's name") from error
    table = Table()
    run = Run(read_allowed_skips(table), jobs)
    rows = table.select(options.rows, options.full or options.list, only)
    if options.list:
        print_list(rows)
        return 0
    if options.build:
        make_needs(rows)
    for folder in (RESULTS, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    for number in SIGNALS:
        signal.signal(number, handle_signal)
    run.run(rows)
    return run.report()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as error:
        print(f"run: error: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as interruption:
        sys.exit(128 + interruption.args[0])
