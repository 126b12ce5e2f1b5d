#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws what a move costs, with and without the series, and how far each figure is from its bar.

    plot.py BENCH.json PICTURE.svg
"""

import json
import sys
from pathlib import Path

import figures as table
import matplotlib

matplotlib.use("svg" if sys.argv[-1].endswith(".svg") else "agg")
from matplotlib import pyplot  # noqa: E402  (the backend must be chosen first)

# From light to dark, so that they differ without colours.
COLOURS = {table.BASE: "#c9ced6", table.DROPPED: "#f0a35e", table.SERIES: "#1f5f99"}
LABELS = {table.BASE: "stock", table.DROPPED: "series without its last patch",
          table.SERIES: "series"}
WITHIN_COLOUR, MISSED_COLOUR = "#1f5f99", "#c62828"
RUNS = (
    ("run_same_cpu_insn", "same CPU"),
    ("run_same_pmu_insn", "other CPU,\nsame PMU"),
    ("run_cross_pmu_insn", "CPU of\nanother PMU"),
    ("run_cross_pmu_armed_insn", "the same,\noverflow armed"),
)


def draw_runs(axes, figures):
    """Draws a group of bars for each move. Stock has no bar where its counter stands still."""
    width = 0.27
    for place, kernel in enumerate(COLOURS):
        heights = [figures.get(table.prefix_of(kernel) + name) for name, _ in RUNS]
        bars = [(group + (place - 1) * width, height) for group, height in enumerate(heights)
                if height is not None]
        drawn = axes.bar(*zip(*bars, strict=True), width=width * 0.92, color=COLOURS[kernel],
                         label=LABELS[kernel])
        axes.bar_label(drawn, fmt="{:,.0f}", fontsize=7, padding=2)
    for group in (2, 3):
        axes.annotate("counter\nstands\nstill", (group - width, 0), xytext=(0, 4),
                      textcoords="offset points", ha="center", fontsize=8, color="#6b7280")
    axes.set_xticks(range(len(RUNS)), [label for _, label in RUNS])
    axes.set_ylabel("instructions per KVM_RUN")
    axes.set_title("KVM_RUN after the vCPU moved to", loc="left", fontsize=11, fontweight="bold")
    axes.margins(y=0.12)
    axes.legend(frameon=False, loc="upper left")


def draw_bars(axes, figures):
    """Draws each figure as its share of its bar. If the bar is 0, the share is all or nothing."""
    names = list(reversed(table.BARS))
    for row, name in enumerate(names):
        value, (bar, _) = figures[name], table.BARS[name]
        share = min(value / bar, 1.4) if bar else 1.4 * bool(value)
        colour = MISSED_COLOUR if value > bar else WITHIN_COLOUR
        axes.barh(row, max(share, 0), color=colour, height=0.5)
        axes.annotate(f"{value:,} of {bar:,}", (max(share, 0), row), xytext=(5, 0),
                      textcoords="offset points", va="center", fontsize=9, color=colour)
    axes.axvline(1, color=MISSED_COLOUR, linewidth=1.2)
    axes.set_yticks(range(len(names)),
                    [name.removesuffix("_insn").replace("_", " ") for name in names])
    axes.set_xticks([0, 0.5, 1], ["0", "half", "bar"])
    axes.set_xlim(0, 1.6)
    axes.set_title("Figures and their bars", loc="left", fontsize=11, fontweight="bold")


def draw(figures, path):
    """Writes the picture."""
    # So that the same data gives the same file.
    pyplot.rcParams.update({"svg.hashsalt": "bench", "font.size": 10, "font.family": "DejaVu Sans"})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(14, 4.8), layout="constrained",
                                            width_ratios=(1.5, 1))
    draw_runs(left, figures)
    draw_bars(right, figures)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def main():
    """Reads and draws."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
