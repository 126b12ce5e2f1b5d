#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures on exact hosts what the series costs, and judges the figures.

    bench/bench.py           prints a table; leaves build/results/bench.json and bench.svg
    bench/bench.py --docs    the same, and puts the table into docs/bench.md
    bench/bench.py --tap     as tests, with fewer laps; leaves nothing

Exits with 0 when no figure is above its bar, with 1 when one is or the picture could not be drawn,
with 2 when a host did not run.
"""

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import figures as table
import tap
from results import RESULTS, HostError, draw, put_on_page, run_host, write_atomically

HERE = Path(__file__).resolve().parent
TOP = HERE.parent

SHARED = TOP / "tests" / "kernel"
SOURCES = (HERE / "bench.c", SHARED / "vm.c", SHARED / "guest.S")
# Odd, so that the median is one of the values.
LAPS, LAPS_OF_TESTS = 201, 51


def build_program(folder):
    """Builds the program that runs in the host; returns its path."""
    program = Path(folder) / "bench"
    command = ["aarch64-linux-gnu-gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror",
               "-static", "-pthread", f"-I{SHARED}", "-o", program, *SOURCES]
    if subprocess.run(command, check=False).returncode:
        raise HostError("bench.c was not built; the compiler's message is above")
    return program


def measure_host(program, kernel, topology, laps):
    """Boots a host and returns what was measured in it."""
    print(f"==> {topology} host, {kernel} kernel", file=sys.stderr, flush=True)
    output = run_host(kernel, topology, "--exact", "--file", program, "--",
                      f"/root/{program.name}", str(laps))
    return {name: int(value) for name, value in map(str.split, output.splitlines())}


def measure_busy_host(*arguments):
    """Does the same as measure_host() while two loops keep this machine busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        return measure_host(*arguments)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(laps, repeat):
    """Measures on all hosts; returns the figures, and, if REPEAT, the numbers that differ when a
    host runs again. Hosts run side by side, as one keeps one CPU busy."""
    hosts = list(itertools.product(table.KERNELS, table.TOPOLOGIES))
    with (tempfile.TemporaryDirectory() as folder,
          ThreadPoolExecutor(max_workers=os.cpu_count()) as executor):
        program = build_program(folder)
        results = executor.map(lambda host: measure_host(program, *host, laps), hosts)
        recorded = {kernel: {} for kernel in table.KERNELS}
        for (kernel, topology), result in zip(hosts, results, strict=True):
            recorded[kernel][topology] = result
        first = recorded[table.SERIES][table.USUAL]
        second = measure_busy_host(program, table.SERIES, table.USUAL, laps) if repeat else first
    changed = [f"{name}: {first.get(name)}, then {second.get(name)}" for name in first | second
               if first.get(name) != second.get(name)]
    return table.all_figures(recorded), changed


def format_table(figures):
    """Markdown: a table of the figures that have a bar, then one of the others."""
    lines = ["| figure | measured | bar | without the last patch | |", "|---|---:|---:|---:|---|"]
    for name, (bar, what) in table.BARS.items():
        mark = "**" if figures[name] > bar else ""
        lines.append(f"| `{name}` | {mark}{figures[name]:,}{mark} | {bar:,} | "
                     f"{figures[f'{table.DROPPED}_{name}']:,} | {what} |")
    lines += ["", "| figure without a bar | measured | without the last patch | stock |",
              "|---|---:|---:|---:|"]
    for name in figures:
        if name in table.BARS or name.startswith((f"{table.DROPPED}_", f"{table.BASE}_")):
            continue
        others = (figures.get(f"{kernel}_{name}") for kernel in (table.DROPPED, table.BASE))
        cells = " | ".join("" if other is None else f"{other:,}" for other in others)
        lines.append(f"| `{name}` | {figures[name]:,} | {cells} |")
    return "\n".join(lines) + "\n"


def write_results(figures):
    """Writes bench.json and its picture; returns whether the picture could be drawn."""
    data = RESULTS / "bench.json"
    write_atomically(data, json.dumps(figures, indent=2) + "\n")
    print(data.relative_to(TOP))
    return draw(HERE / "plot.py", data, RESULTS / "bench.svg")


def print_tap(figures, changed):
    """Prints TAP: a test for each bar; that bars can be missed, as the kernel without the last
    patch has to; that nothing CHANGED from run to run."""
    tests = [(f"{name}: {figures[name]:,}, at most {bar:,}", figures[name] <= bar)
             for name, (bar, _) in table.BARS.items()]
    missed = table.missed_bars(figures, table.DROPPED)
    tests.append(("without the last patch, the bench finds moves between PMUs too expensive",
                  any("_cross_pmu_overhead_insn " in line for line in missed)))
    tests.append(("without the last patch no cycle is lost either",
                  figures[f"{table.DROPPED}_lost_cycles"] == 0))
    tests.append(("each name of bench.json ends with its unit",
                  all(re.fullmatch("[a-z0-9_-]+_(insn|cycles|bytes)", name) for name in figures)))
    tests.append(("a host measures the same again, to the instruction, while this machine is busy",
                  not changed))

    def check(passed):
        if not passed:
            raise AssertionError("this is not true; the figures are below")

    status = tap.run(tap.Test(name, check, passed) for name, passed in tests)
    for line in [*changed, *json.dumps(figures, indent=1).splitlines()]:
        print(f"# {line}")
    return status


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tap", action="store_true",
                        help="print test results instead of a table, with fewer laps")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/bench.md")
    options = parser.parse_args()
    try:
        figures, changed = measure(LAPS_OF_TESTS if options.tap else LAPS, repeat=options.tap)
    except HostError as error:
        print(f"Bail out! {error}" if options.tap else f"bench.py: error: {error}",
              file=sys.stdout if options.tap else sys.stderr)
        return 2
    if options.tap:
        return print_tap(figures, changed)
    text = format_table(figures)
    print(text)
    if options.docs:
        put_on_page("bench.md", text)
    drawn = write_results(figures)
    missed = table.missed_bars(figures)
    for line in missed:
        print(f"bench.py: error: {line}", file=sys.stderr)
    return 1 if missed or not drawn else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
