# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs rows of tests/table, which are programs that print TAP, and reports the results.

    tests/run [ROW...]          these rows, or all of the set core; ROW is a name or the path of a
                                program
    tests/run --full [ROW...]   these rows, or all, except those that passed with today's contents;
                                keeps their verdicts
    tests/run --list            all rows with what they claim
    tests/run --ledger          all rows with their verdicts

ONLY=REGEX  only rows whose name matches        JOBS=N  rows at a time (2); rows that are marked
                                                        alone run at the end
With --full:
BUDGET=25m  only rows that are expected to end by then        FORCE=1  also rows that have passed

A row's TAP goes to build/results/NAME.tap, its stderr to build/logs/NAME.log. Skips and TODO do not
pass: a run must not be green if it skipped what it should test.
"""
import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import host
import trace_opens
from job import LOGS, RESULTS, Job
from ledger import Ledger
from table import TOP, Table, UsageError, read_allowed_skips

# Tests end hangs themselves, with a better message; this is for a test that fails to.
TIME_LIMIT = 3600
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
# Exit status when no row failed, and rows are left
STATUS_LEFT = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_number(name, default, pattern, what, convert):
    """Value of an environment variable, converted; WHAT says in the error what it has to be."""
    text = os.environ.get(name) or default
    if not re.fullmatch(pattern, text):
        raise UsageError(f"{name}={text}; give {what}")
    return convert(text)


class Interrupted(Exception):
    """A signal ended the run; the argument is its number."""


class Run:
    """Runs rows, prints a line for each, and collects what report() prints."""

    def __init__(self, allowed, jobs, books=None):
        self._allowed, self._most, self._books = allowed, jobs, books
        limit = read_number("VPMU_TEST_TIME_LIMIT", str(TIME_LIMIT), r"[0-9]*\.?[0-9]+",
                            "a number of seconds", float)
        self._limit = host.scale_timeout(limit)
        self._jobs = {}
        self.counts, self.failed, self.skips, self.failures = collections.Counter(), [], [], []

    def run(self, rows):
        """Runs the rows; those that run alone come last."""
        with ThreadPoolExecutor(max_workers=self._most) as executor:
            try:
                for row in sorted(rows, key=lambda row: row.alone):
                    self._wait(0 if row.alone else self._most - 1)
                    if not self._books or self._books.fits(row):
                        self._start(executor, row)
                self._wait(0)
            except Interrupted as interruption:
                names = sorted(job.row.name for job in self._jobs.values())
                print(f"\nended by {signal.Signals(interruption.args[0]).name} while these ran: "
                      f"{' '.join(names)}", flush=True)
                for ender in [threading.Thread(target=job.end) for job in self._jobs.values()]:
                    ender.start()
                raise

    def _start(self, executor, row):
        job = self._books.start(row, self._limit) if self._books else Job(row, self._limit)
        self._jobs[executor.submit(job.run, self._allowed)] = job

    def _wait(self, most):
        """Waits until at most MOST jobs run."""
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
        if self._books:
            self._books.keep(job, judge)

    def report(self):
        """Prints skips, failures and totals; returns the exit status."""
        for title, lines in (("Skipped:", self.skips), ("Failed:", self.failures)):
            if lines:
                print("\n".join(["", title, *(f"  {line}" for line in lines)]))
        # Again, in short: only the end of a long run's output may be kept
        if self.failed:
            print("\n" + "\n".join(f"FAILED {line}" for line in self.failed))
        print(f"\n{self.counts['passed']} passed, {self.counts['failed']} failed, "
              f"{self.counts['skipped']} skipped")
        return 1 if self.counts["failed"] else 0


class Books:
    """For --full: which rows have to run, which fit into the budget, and their verdicts."""

    def __init__(self, table, allowed, budget):
        self._table, self._budget, self._begin = table, budget, time.monotonic()
        self._why_untraced = trace_opens.why_not()
        self._started, self._skipped, self._ready = {}, [], None
        self.ledger = Ledger(table, allowed)

    def open(self, rows, force, build):
        """Returns those of ROWS that have no verdict for today's contents; builds what they
        need."""
        if self._why_untraced:
            print(f"{self._why_untraced}; without it each row depends on all files but the pages",
                  flush=True)
        todo = [row for row in rows if force or not self.ledger.find(row)]
        if build:
            self._ready = self._plan(todo)
            make_needs(self._ready)
            self.ledger.look_again()
            todo = [row for row in todo if force or not row.needs or not self.ledger.find(row)]
        self.ledger.start()
        print(f"{self._summary()}, {len(todo)} to run", flush=True)
        return todo

    def _plan(self, rows):
        """The rows that are likely to fit into the budget, so that nothing is built for others."""
        fit, seconds = [], 0
        for row in rows:
            expected = self.ledger.last_seconds(row)
            if self._budget is None or seconds + expected <= self._budget:
                fit.append(row)
                seconds += expected if row.alone else expected / 2
        return fit

    def fits(self, row):
        """Whether to start the row now."""
        built = self._ready is None or not row.needs or row in self._ready
        if built and (self._budget is None or time.monotonic() - self._begin
                      + self.ledger.last_seconds(row) <= self._budget):
            return True
        self._skipped.append(row)
        return False

    def start(self, row, limit):
        """The job of a row, traced if possible."""
        tracer = trace_opens.Tracer(TOP) if row.traced and not self._why_untraced else None
        self._started[row] = (self.ledger.note(), tracer)
        return Job(row, limit, tracer)

    def keep(self, job, judge):
        """Keeps the verdict of a job."""
        before, tracer = self._started[job.row]
        if why := self.ledger.keep(job.row, job, judge, tracer, before):
            print(f"{job.row.name}: no verdict, for {why}", flush=True)

    def _done(self):
        return sum(1 for row in self._table.rows.values() if self.ledger.find(row))

    def _summary(self):
        return f"{self._done()} of {len(self._table.rows)} rows have passed with these contents"

    def close(self, failed):
        """Prints the last line; returns the exit status."""
        self.ledger.look_again()
        done, all_rows = self._done(), len(self._table.rows)
        if self._skipped and not self._started:
            row = min(self._skipped, key=self.ledger.last_seconds)
            print(f"nothing fits BUDGET={os.environ['BUDGET']}: {row.name} is expected to take "
                  f"{self.ledger.last_seconds(row):g} s")
        if done == all_rows and not failed:
            print(f"{done} of {all_rows} done: complete")
            return 0
        print(f"{done} of {all_rows} done, {all_rows - done} left: the same command again"
              + (", after you fixed what failed" if failed else ""))
        return 1 if failed else STATUS_LEFT


def describe_failures(job, judge):
    """Yields the lines of the report for a row that failed."""
    for failure in judge.failures:
        yield f"{job.row.name}: {failure.test}" + (f": {failure.why}" if failure.why else "")
        yield from (f"    {line}" for line in failure.lines)
    yield (f"  TAP: {job.tap.relative_to(TOP)}    stderr: {job.log.relative_to(TOP)}    again: "
           f"tests/run {job.row.name}")


def print_list(rows):
    """Prints each row with its claim, set, time and command."""
    for row in rows:
        marks = f"{'core' if row.core else 'full'}{', alone' if row.alone else ''}"
        print(f"{row.name}: {row.claim}\n    {marks}, {row.seconds} s: {' '.join(row.command)}")


def make_needs(rows):
    """Builds what rows need beyond `make all`."""
    targets = list(dict.fromkeys(target for row in rows for target in row.needs))
    if targets and subprocess.run(["make", "-C", TOP, "--no-print-directory", *targets],
                                  stdin=subprocess.DEVNULL, check=False).returncode:
        raise UsageError(f"make {' '.join(targets)} failed, which the rows need; see above")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true",
                        help="build first what rows need beyond `make all`")
    parser.add_argument("--full", action="store_true", help="all rows, with verdicts that are kept")
    parser.add_argument("--ledger", action="store_true", help="print the verdicts")
    parser.add_argument("--list", action="store_true", help="print the rows")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    return parser.parse_args()


def handle_signal(number, _):
    for handled in SIGNALS:
        signal.signal(handled, signal.SIG_IGN)
    raise Interrupted(number)


def to_seconds(text):
    """Seconds of a text such as 25m; None for an empty text."""
    number = text.rstrip("smh")
    return int(number) * UNITS[text.removeprefix(number)] if text else None


def read_force(options, only):
    force = os.environ.get("FORCE", "") not in ("", "0")
    if force and os.environ.get("BUDGET") and not options.rows and not only:
        raise UsageError("FORCE=1 with BUDGET= would run the same rows each time; give ONLY= or "
                         "name rows")
    return force


def read_only():
    only = os.environ.get("ONLY", "")
    try:
        re.compile(only)
    except re.error as error:
        raise UsageError(f"ONLY={only} is no regular expression ({error}); use a part of a row's "
                         "name") from error
    return only


def run_all(run, rows):
    """Runs the rows and reports; a signal ends the run."""
    for folder in (RESULTS, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    for number in SIGNALS:
        signal.signal(number, handle_signal)
    run.run(rows)
    return run.report()


def main():
    """Returns the exit status."""
    options, only = parse_arguments(), read_only()
    jobs = read_number("JOBS", "2", "[1-9][0-9]*", "a number from 1", int)
    table = Table()
    allowed = read_allowed_skips(table)
    rows = table.select(options.rows, options.full or options.list or options.ledger, only)
    if options.list or options.ledger:
        # `| head` ends this program without an error, as it does others
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if options.list:
        print_list(rows)
        return 0
    if options.ledger:
        ledger = Ledger(table, allowed)
        print("\n".join(ledger.describe(row) for row in rows))
        return 0
    if not options.full:
        if options.build:
            make_needs(rows)
        return run_all(Run(allowed, jobs), rows)
    force = read_force(options, only)
    budget = read_number("BUDGET", "", "([0-9]+[smh]?)?",
                         "a number of seconds, or one of minutes as 25m, or of hours as 2h",
                         to_seconds)
    books = Books(table, allowed, budget)
    rows = books.open(rows, force, options.build)
    return books.close(run_all(Run(allowed, jobs, books), rows))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (UsageError, host.HostError) as error:
        print(f"run: error: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as interruption:
        sys.exit(128 + interruption.args[0])
