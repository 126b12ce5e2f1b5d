#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws what the guest's loader counts and the guest's cycle rate over time, before and after, from
the demo's recording.

    plot.py RECORDING.json PICTURE.svg
"""

import json
import sys
from pathlib import Path

import matplotlib
import scenarios as table

matplotlib.use("svg" if sys.argv[-1].endswith(".svg") else "agg")
from matplotlib import pyplot  # noqa: E402  (the backend must be chosen first)
from matplotlib.patches import Patch  # noqa: E402

# One is lighter than the other, so that they differ without colours.
CLUSTER_COLOURS = ("#cfe3f5", "#fbe0b5", "#dcefd2")
LINE_COLOUR = "#1f2933"
DEAD_COLOUR = "#c62828"
STALL_COLOURS = {"short": "#8aa4bf", "long": "#2f5d8a"}
LOADERS = (
    (table.LOADER_BEFORE, "before"),
    (table.LOADER_AFTER, "after"),
)
# No date, so that the same data gives the same file. The picture is committed, so it names its
# licence as each file does.
METADATA = {"Date": None, "Rights": "SPDX-License-Identifier: GPL-2.0-or-later"}
PANELS = (
    (table.BEFORE, "Before: stock kernel, -cpu host"),
    (table.AFTER, "After: patched kernel, -cpu host,pmu-hybrid=on"),
)


def start_of(run):
    """When the guest's first interval began, in seconds of its clock."""
    return min(delta["cntvct"] - delta["ticks"] for delta in run["deltas"]) / run["guest"]["cntfrq"]


def to_guest_time(run):
    """Returns a function from the host's clock to seconds since the guest's first interval.

    Both clocks tick alike. The time between printing a line and reading it is never negative, and
    at least once close to zero. So the smallest difference of the two clocks is their offset.
    """
    frequency = run["guest"]["cntfrq"]
    offset = min(delta["read_ns"] / 1e9 - delta["cntvct"] / frequency for delta in run["deltas"])
    start = start_of(run)
    return lambda host_ns: host_ns / 1e9 - offset - start


def rate_of_vcpu(run, vcpu):
    """Time in s since the guest's first interval and rate in GHz, as a step curve: each interval
    has its start and its end."""
    frequency, start = run["guest"]["cntfrq"], start_of(run)
    times, rates = [], []
    for delta in run["deltas"]:
        if delta["vcpu"] != vcpu:
            continue
        end = delta["cntvct"] / frequency - start
        times += [end - delta["ticks"] / frequency, end]
        rates += [delta["cycles"] * frequency / delta["ticks"] / 1e9] * 2
    return times, rates


def pmu_of_group(run, group):
    """The name of the PMU that a group of CPUs belongs to."""
    return next(name for name, cpus in run["pmus"].items() if run["groups"][group][0] in cpus)


def draw_clusters(axes, run, vcpu, colours, end):
    """Shades the time that the vCPU's thread spent on each cluster."""
    to_time = to_guest_time(run)
    moves = [move for move in run["moves"] if move["vcpu"] == vcpu]
    starts = [max(0, to_time(move["host_ns"])) for move in moves]
    for move, start, stop in zip(moves, starts, [*starts[1:], end], strict=True):
        if start < end:
            axes.axvspan(start, min(stop, end), color=colours[pmu_of_group(run, move["group"])],
                         linewidth=0, zorder=0)


def vcpu_to_show(run):
    """The vCPU on which the guest died, else the first."""
    dead = [delta["vcpu"] for delta in run["deltas"] if delta["cycles"] == 0]
    return dead[0] if dead else 0


def draw_panel(axes, run, vcpu, title, colours):
    """Draws the panel of one guest, and marks where it died; returns its end and highest rate."""
    times, rates = rate_of_vcpu(run, vcpu)
    draw_clusters(axes, run, vcpu, colours, times[-1])
    axes.plot(times, rates, color=LINE_COLOUR, linewidth=1.4, zorder=3)
    axes.set_title(f"{title}  (vCPU {vcpu})", loc="left", fontsize=11, fontweight="bold")
    if rates[-1] == 0:
        axes.plot(times[-1], 0, marker="X", markersize=11, color=DEAD_COLOUR, zorder=4,
                  clip_on=False)
        axes.annotate("the counter stands still, the guest divides by zero and dies",
                      (times[-1], 0), xytext=(14, 10), textcoords="offset points",
                      color=DEAD_COLOUR, fontsize=10)
    axes.set_ylabel("cycle rate in GHz")
    axes.spines[["top", "right"]].set_visible(False)
    return times[-1], max(rates)


def draw_loader(axes, recording):
    """Draws what the loader counted in its two stalls on the other cluster, and the outcome."""
    for place, (scenario, _) in enumerate(LOADERS):
        loader = recording[scenario]["loaders"][-1]
        for offset, (stall, colour) in zip((-0.2, 0.2), STALL_COLOURS.items(), strict=True):
            axes.barh(place + offset, int(loader[stall]) / 1e6, height=0.36, color=colour)
        frequency = int(loader["frequency"])
        alive = frequency >= 1000  # Hz: it divides by a thousandth of it
        text = (f"calibrates {frequency / 1e6:,.0f} MHz" if alive
                else "calibrates 0 Hz, divides by it and dies")
        axes.annotate(text, (int(loader["short"]) / 1e6, place - 0.2), xytext=(8, 0),
                      textcoords="offset points", va="center",
                      color=LINE_COLOUR if alive else DEAD_COLOUR, fontsize=10)
    axes.set_yticks(range(len(LOADERS)), [label for _, label in LOADERS])
    axes.invert_yaxis()
    axes.set_xlabel("million cycles in the loader's stalls of 1 ms (light) and 9 ms (dark)")
    axes.set_title("Loader: its vCPU moves to the other cluster, then it calibrates", loc="left",
                   fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)


def draw(recording, path):
    """Writes the picture."""
    # So that the same data gives the same file, and text stays text.
    pyplot.rcParams.update({"svg.hashsalt": "demo", "svg.fonttype": "none", "font.size": 10,
                            "font.family": "DejaVu Sans"})
    names = sorted({name for scenario, _ in PANELS for name in recording[scenario]["pmus"]})
    colours = dict(zip(names, CLUSTER_COLOURS, strict=False))
    figure = pyplot.figure(figsize=(9, 7.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 2.4))
    draw_loader(above.subplots(), recording)
    panels = below.subplots(len(PANELS), 1, sharex=True, sharey=True)
    vcpu = vcpu_to_show(recording[table.BEFORE])
    ends, tops = zip(*(draw_panel(axes, recording[scenario], vcpu, title, colours)
                       for axes, (scenario, title) in zip(panels, PANELS, strict=True)),
                     strict=True)
    panels[-1].set_xlabel("time in the guest in s")
    panels[-1].set_xlim(0, max(ends))
    panels[-1].set_ylim(0, max(tops) * 1.15)
    figure.suptitle("Guest cycle counter (PMCCNTR_EL0) while its vCPU moves between clusters",
                    fontsize=13)
    handles = [pyplot.Line2D([], [], color=LINE_COLOUR, label="rate of PMCCNTR_EL0")]
    handles += [Patch(color=colour, label=f"vCPU on CPUs of {name}")
                for name, colour in colours.items()]
    below.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.savefig(path, metadata=METADATA if path.suffix == ".svg" else None, dpi=110)


def main():
    """Reads and draws."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    recording = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    missing = [scenario for scenario, _ in PANELS if not recording.get(scenario, {}).get("deltas")]
    missing += [scenario for scenario, _ in LOADERS
                if not recording.get(scenario, {}).get("loaders")]
    if missing:
        sys.exit(f"plot.py: error: no measured deltas of {', '.join(missing)} in {sys.argv[1]}; "
                 "these guests did not run")
    draw(recording, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
