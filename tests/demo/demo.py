#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows and checks what happens to a Windows-like guest on hosts with one or two PMUs.

    tests/demo/demo.py                 all scenarios; leaves build/results/demo.json and demo.svg
    tests/demo/demo.py --only NAME...  some of them; prints only
    tests/demo/demo.py --docs          the same as the first, and puts the table into docs/demo.md
                                       and the picture into docs/pictures
    tests/demo/demo.py --tap           as tests, one a scenario
    tests/demo/demo.py --calibrations  a move at each point of the loader's calibration; prints
                                       only, or as tests

Exits with 0 when each outcome is the one that scenarios.py expects, with 1 when one is not
or the picture could not be drawn, with 2 when a host did not run.
"""

import argparse
import json
import os
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import host as testbed
import scenarios as table
from results import RESULTS, HostError, draw, put_on_page, run_host, write_atomically

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
ARTIFACTS = TOP / "build" / "artifacts"
QEMU = ARTIFACTS / "qemu-system-aarch64"
GUEST = ARTIFACTS / "guests" / "winlike.bin"
# Seconds of the host's clock, before VPMU_TIMEOUT_FACTOR. A guest takes two, more in real time on a
# busy machine; one that takes this long hangs.
GUEST_TIMEOUT = 300


@dataclass
class Outcome:
    """A scenario and what was recorded of it."""

    scenario: table.Scenario
    run: dict
    pmus: dict
    groups: list

    @property
    def cycles(self):
        """All deltas of the cycle counter."""
        return [delta["cycles"] for delta in self.run["deltas"]]

    @property
    def loader(self):
        """What the loader counted, when it last ran."""
        return self.run["loaders"][-1] if self.run["loaders"] else {}

    @property
    def counted(self):
        """The deltas, or the counts of the loader's stalls if the guest did not get further."""
        return self.cycles or [int(self.loader[stall]) for stall in ("short", "long")
                               if stall in self.loader]

    @property
    def verdict(self):
        """The guest's last line."""
        return self.run["output"][-1] if self.run["output"] else ""

    @property
    def refusal(self):
        """QEMU's message, if it did not let the guest run."""
        ran = self.run["guest"] or self.run["output"]
        if ran or self.run["hang"] or (self.run["started"] and self.run["exit"] == 0):
            return ""
        return (self.run["stderr"].strip() or self.run["refusal"]
                or f"QEMU ended with exit status {self.run['exit']} and said nothing")

    @property
    def guest_status(self):
        """One of scenarios.py's words, or a sentence when none fits."""
        if self.refusal:
            return table.REFUSED
        if self.run["hang"]:
            return f"hangs, last line: {self.verdict!r}, VM: {self.run['state']}"
        for prefix, status in (("PASS: ", table.OK), ("STOP: no PMU", table.NO_PMU),
                               ("STOP: divide by zero", table.STOPPED)):
            if self.verdict.startswith(prefix):
                return self._flaws() if status == table.OK else status
        return f"ends without a known verdict, last line: {self.verdict!r}"

    def _flaws(self):
        """The status of a guest that passed."""
        if {loader.get("clock") for loader in self.run["loaders"]} != {"right"}:
            return table.WRONG_CLOCK
        return table.UNCHARGED if self.run["uncharged"] else table.OK

    @property
    def backend(self):
        """What backs the vCPUs' counters; "" when QEMU chose nothing or did not get that far."""
        found = sorted({backend or "" for backend in self.run["backends"]})
        return "/".join(found)

    @property
    def loader_clock(self):
        """The frequency that the loader calibrated, as text."""
        frequency = self.loader.get("frequency")
        return f"{int(frequency) / 1e6:,.0f} MHz" if frequency else "-"

    @property
    def expected_backend(self):
        """The backend that the table expects, with the name of this host's PMU filled in."""
        if self.scenario.backend is not table.THE_PMU:
            return self.scenario.backend
        return next((name for name, cpus in self.pmus.items() if set(self.groups[0]) <= set(cpus)),
                    "(no PMU covers the CPUs)")

    def moves(self, vcpu):
        """Moves of a vCPU's thread, without its placement before the first delta."""
        return [move for move in self.run["moves"] if move["vcpu"] == vcpu][1:]

    def problems(self):
        """Why this is not the expected outcome; empty when it is."""
        checks = (
            ("guest status", self.scenario.guest_status, self.guest_status),
            ("backend", self.expected_backend, self.backend),
        )
        found = [f"{what}: expected {want!r}, got {got!r}" for what, want, got in checks
                 if want != got]
        if not found:
            found = [*(self._problems_loader() if self.scenario.at else ()), *self._check()]
        return found

    def _check(self):
        status = self.scenario.guest_status
        if self.scenario.until != "strict" or self.scenario.at and status == table.STOPPED:
            return ()
        checks = {table.OK: self._problems_ok, table.STOPPED: self._problems_stopped}
        return checks[status]() if status in checks else ()

    def _problems_loader(self):
        boots = 1 + self.scenario.reboots
        if len(self.moves(0)) < boots:
            yield (f"the boot vCPU was not moved in the {self.scenario.at} phase of each of "
                   f"{boots} boots")
        if len(self.run["loaders"]) != boots:
            yield f"the loader ran {len(self.run['loaders'])} times, expected {boots}"
        if self.scenario.until != "kernel" and int(self.loader.get("held", 0)) == 0:
            yield ("the counter did not run before and after the move either, so moving is not "
                   "what made the difference")

    def _problems_ok(self):
        if self.run["exit"] != 0:
            yield f"QEMU's exit status: expected 0, got {self.run['exit']}"
        if min(self.cycles, default=0) == 0:
            yield "a delta is 0 or there is none, though the guest passed"
        for vcpu in range(table.VCPUS):
            moves = len(self.moves(vcpu))
            if self.scenario.pinning == table.MOVING and moves < table.MIN_MOVES:
                yield (f"vCPU {vcpu} was moved {moves} times, expected at least {table.MIN_MOVES}; "
                       "the run proves nothing")
            if self.scenario.pinning == table.ONE_CLUSTER and moves:
                yield f"vCPU {vcpu} was moved though it is pinned"

    def _problems_stopped(self):
        if min(self.cycles, default=None) != 0:
            yield "no delta is 0, though the guest stopped"
        if max(self.cycles, default=0) == 0:
            yield "all deltas are 0: the counter never ran, so moving is not what stopped it"
        if not any(self.moves(vcpu) for vcpu in range(table.VCPUS)):
            yield "the guest stopped before any vCPU was moved"

    def diagnosis(self):
        """What QEMU said, where that may be the reason for a problem."""
        return self.refusal or self.run["stderr"].strip()

    def row(self):
        """The entry of demo.json."""
        return {
            "scenario": self.scenario.name,
            "kernel": self.scenario.kernel,
            "pmu_hybrid": self.scenario.pmu_hybrid,
            "pinning": self.scenario.pinning,
            "backend": self.backend,
            "guest_status": self.guest_status,
            "min_delta": min(self.counted, default=None),
            "max_delta": max(self.counted, default=None),
        }


def make_request(scenarios):
    """The request for in_host.py; paths are those inside the host."""
    runs = [{"name": scenario.name, "cpu": scenario.cpu, "vcpus": table.VCPUS,
             "append": scenario.append, "intervals": table.INTERVALS,
             "moving": scenario.pinning == table.MOVING, "move_every": table.MOVE_EVERY,
             "moves": table.MIN_MOVES, "start": scenario.start, "reboots": scenario.reboots}
            for scenario in scenarios]
    return {"qemu": f"/root/{QEMU.name}", "guest": f"/root/{GUEST.name}",
            "timeout": testbed.scale_timeout(GUEST_TIMEOUT), "runs": runs}


def run_in_host(kernel, topology, scenarios, real_time):
    """Boots a host and returns the outcomes of the scenarios."""
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request.json"
        request.write_text(json.dumps(make_request(scenarios)), encoding="utf-8")
        output = run_host(kernel, topology, *([] if real_time else ["--icount"]),
                          "--file", QEMU, "--file", GUEST, "--file", HERE / "in_host.py",
                          "--file", request,
                          "--", "python3", "/root/in_host.py", "/root/request.json")
    try:
        recorded = json.loads(output)
    except json.JSONDecodeError as error:
        raise HostError(f"the {topology} host with the {kernel} kernel printed no valid JSON "
                        f"({error}): {output[:200]!r}") from error
    return [Outcome(scenario, run, recorded["pmus"], recorded["groups"])
            for scenario, run in zip(scenarios, recorded["runs"], strict=True)]


def run_scenarios(scenarios, real_time):
    """Yields outcomes, host by host; hosts run side by side, each keeps one or two CPUs busy."""
    hosts = {}
    for scenario in scenarios:
        hosts.setdefault((scenario.kernel, scenario.topology), []).append(scenario)

    def run(host):
        kernel, topology = host
        names = ", ".join(scenario.name for scenario in hosts[host])
        print(f"==> {topology} host, {kernel} kernel: {names}", file=sys.stderr, flush=True)
        return run_in_host(kernel, topology, hosts[host], real_time)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:
        # the longest first, so that it is not the last one running alone
        for outcomes in executor.map(run, sorted(hosts, key=lambda host: -len(hosts[host]))):
            yield from outcomes


def format_table(outcomes):
    """A table of the outcomes, with the messages of QEMU and of guests that stopped below it."""
    heads = ("scenario", "kernel", "pmu-hybrid", "pinning", "backend", "loader's clock", "guest",
             "cycles per interval", "as expected")
    rows = [heads]
    for outcome in outcomes:
        row = outcome.row()
        cycles = ("-" if row["min_delta"] is None
                  else f"{row['min_delta']:,} to {row['max_delta']:,}")
        rows.append((row["scenario"], row["kernel"], "on" if row["pmu_hybrid"] else "off",
                     row["pinning"], row["backend"] or "-", outcome.loader_clock,
                     row["guest_status"], cycles, "NO" if outcome.problems() else "yes"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]
    for outcome in outcomes:
        if outcome.refusal:
            lines += ["", f"{outcome.scenario.name}: QEMU refused:",
                      textwrap.fill(outcome.refusal, 120, initial_indent="    ",
                                    subsequent_indent="    ")]
        elif outcome.verdict.startswith("STOP"):
            lines += ["", f"{outcome.scenario.name}: the guest's last words:",
                      f"    {outcome.verdict}"]
    return "\n".join(lines) + "\n"


def write_results(outcomes):
    """Writes demo.json, the recording and its picture; returns whether that could be drawn."""
    write_atomically(RESULTS / "demo.json",
                     json.dumps([outcome.row() for outcome in outcomes], indent=2) + "\n")
    recorded = {outcome.scenario.name: {"pmus": outcome.pmus, "groups": outcome.groups,
                                        **outcome.run} for outcome in outcomes}
    recording = RESULTS / "demo-recording.json"
    write_atomically(recording, json.dumps(recorded) + "\n")
    print((RESULTS / "demo.json").relative_to(TOP))
    return draw(HERE / "plot.py", recording, RESULTS / "demo.svg")


def report_problems(outcomes):
    """Says what differs and how to see it again; returns whether anything does."""
    bad = [outcome for outcome in outcomes if outcome.problems()]
    for outcome in bad:
        print(f"demo.py: error: {outcome.scenario.name}: {'; '.join(outcome.problems())}\n"
              f"    QEMU said: {outcome.diagnosis() or 'nothing'}\n"
              "    logs: build/logs/; again: build/venv/bin/python tests/demo/demo.py --only "
              f"{outcome.scenario.name}", file=sys.stderr)
    return bool(bad)


def print_tap(scenarios, real_time):
    """Prints TAP, one test for each scenario; a host that does not run ends all."""
    # needs build/venv; without --tap the demo needs no package
    import tap

    def check(outcome):
        print(f"{json.dumps(outcome.row())}\n{outcome.diagnosis()}".rstrip())
        tap.expect_nothing(outcome.problems())

    return tap.run((tap.Test(outcome.scenario.name, check, outcome)
                    for outcome in run_scenarios(scenarios, real_time)), bail_out=HostError)


def parse_arguments():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    names = [scenario.name for scenario in table.SCENARIOS + table.CALIBRATIONS]
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--only", nargs="+", metavar="NAME", choices=names,
                       help="run these scenarios: " + ", ".join(names))
    which.add_argument("--calibrations", action="store_true",
                       help="run those of the loader's calibration, which are tests only")
    which.add_argument("--docs", action="store_true",
                       help="put the table into docs/demo.md, the picture into docs/pictures")
    parser.add_argument("--tap", action="store_true", help="print test results instead of a table")
    parser.add_argument("--real-time", action="store_true",
                        help="run the emulated host's clock in real time, not by instructions: the "
                             "load of this machine shows in the results")
    return parser.parse_args()


def main():
    """Returns the exit status."""
    options = parse_arguments()
    try:
        testbed.scale_timeout(GUEST_TIMEOUT)
    except testbed.HostError as error:
        print(f"demo.py: error: {error}", file=sys.stderr)
        return 2
    for path, what in ((QEMU, "our QEMU"), (GUEST, "the guest")):
        if not path.exists():
            print(f"demo.py: error: {what} is not built, {path.relative_to(TOP)} is missing; run "
                  "'make demo'", file=sys.stderr)
            return 2
    every = table.SCENARIOS + table.CALIBRATIONS
    scenarios = table.CALIBRATIONS if options.calibrations else table.SCENARIOS
    if options.only:
        scenarios = [scenario for scenario in every if scenario.name in options.only]
    if options.tap:
        return print_tap(scenarios, options.real_time)
    try:
        outcomes = list(run_scenarios(scenarios, options.real_time))
    except HostError as error:
        print(f"demo.py: error: {error}", file=sys.stderr)
        return 2
    outcomes.sort(key=lambda outcome: every.index(outcome.scenario))
    text = format_table(outcomes)
    print(f"\n{text}", flush=True)
    if options.docs:
        put_on_page("demo.md", f"```\n{text}```\n")
    drawn = bool(options.only or options.calibrations) or write_results(outcomes)
    if options.docs and drawn:
        write_atomically(TOP / "docs" / "pictures" / "demo.svg",
                         (RESULTS / "demo.svg").read_text(encoding="utf-8"))
    return 1 if report_problems(outcomes) or not drawn else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
