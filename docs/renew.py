#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the parts of docs/ that come from data: docs/pictures/*.svg and the tables of SoCs.

The test `docs` names the files that differ.

docs/pictures/demo.svg is not among them: it shows a measurement, and `make demo DOCS=1` renews it.
"""
import re
import sys
import textwrap
from pathlib import Path

import socs
from svg import PALE, Picture

DOCS = Path(__file__).resolve().parent
TOP = DOCS.parent

# A vCPU's way: the PMU of the CPU it is on, and the cycles that the guest executes there
WAY = (("a", 3), ("b", 3), ("a", 2))

# The steps when libvirt starts a VM: sender, receiver or None, what the sender does. From
# docs/qemu.md.
ACTORS = ("libvirt", "QEMU", "KVM")
START = (
    ("libvirt", "QEMU", "start with -S"),
    ("QEMU", "KVM", "create the vCPUs; PMU: not initialised yet"),
    ("QEMU", "KVM", "try the mode on a scratch VM"),
    ("libvirt", "QEMU", "query-cpus-fast: thread of each vCPU"),
    ("libvirt", None, "pin the threads: cgroups, vcpupin"),
    ("libvirt", "QEMU", "cont"),
    ("QEMU", None, "read affinities and the PMUs in sysfs; choose"),
    ("QEMU", "KVM", "SET_PMU or FIXED_COUNTERS_ONLY; PMU INIT"),
    ("QEMU", "libvirt", "running, or the error: the VM stays paused"),
)

# What QEMU asks, in this order; the first yes decides. From target/arm/host-pmu.c.
QUESTIONS = (
    ("Has the host one PMU, which covers", "all CPUs that are present?", "KVM's default: that PMU",
     "a"),
    ("Does one PMU cover all CPUs on which", "the vCPU threads may run?",
     "SET_PMU: that PMU, all its counters", "a"),
    ("Has the kernel the mode, and each of", "these CPUs that is online a PMU?", "fixed counters",
     "good"),
    ("Does one PMU cover those of the CPUs", "that are online?",
     "SET_PMU, and a line with the others", "b"),
)
REFUSAL = "refused, with the reason and the ways out"


def counts(way):
    """Points of (cycles, count) of each PMU's event, the register and the counter, which is the sum
    of register and event in use."""
    event, register, total = dict.fromkeys("ab", 0), 0, 0
    lines = {"counter": [(0, 0)], "a": [(0, 0)], "b": [(0, 0)], "register": [(0, 0)]}
    for pmu, cycles in way:
        # on a move the register changes so that the sum stays the same
        register = total - event[pmu]
        lines["register"].append((total, register))
        total, event[pmu] = total + cycles, event[pmu] + cycles
        lines["register"].append((total, register))
        lines["counter"].append((total, register + event[pmu]))
        for name, count in event.items():
            lines[name].append((total, count))
    return lines


def draw_move():
    picture = Picture(760, 430, "A counter across a move")
    left, unit, width = 190, 65, sum(cycles for _, cycles in WAY)
    picture.text(16, 40, "vCPU runs on")
    at = 0
    for pmu, cycles in WAY:
        picture.box(left + at * unit, 16, cycles * unit, 40, pmu)
        picture.text(left + (at + cycles / 2) * unit, 41, f"CPU of PMU {pmu.upper()}",
                     anchor="middle", bold=True)
        at += cycles
        picture.path([(left + at * unit, 56), (left + at * unit, 390)], colour=PALE, width=0.8,
                     dashed=True)
    rows = (("counter", "PMCCNTR_EL0", "register + event in use", 170, 11),
            ("a", "event of PMU A", "counts on A only", 235, 8),
            ("b", "event of PMU B", "counts on B only", 305, 8),
            ("register", "register", "changes on a move", 370, 8))
    lines = counts(WAY)
    for name, label, note, base, scale in rows:
        picture.text(16, base - 18, label, bold=True)
        picture.text(16, base, note, size=11, colour=PALE)
        picture.path([(left, base), (left + width * unit, base)], colour=PALE, width=0.8)
        picture.path([(left + x * unit, base - y * scale) for x, y in lines[name]],
                     width=3 if name == "counter" else 2)
    picture.text(left, 412, "cycles that the guest executes", size=11, colour=PALE)
    picture.path([(left + 190, 408), (left + width * unit, 408)], arrow=True, width=1)
    return picture


def draw_start():
    step, top = 42, 64
    picture = Picture(820, top + step * len(START) + 24, "A start under libvirt")
    place = dict(zip(ACTORS, (110, 410, 710), strict=True))
    bottom = picture.height - 16
    for actor, x in place.items():
        picture.path([(x, 46), (x, bottom)], colour=PALE, width=1, dashed=True)
        picture.box(x - 60, 14, 120, 32, "a")
        picture.text(x, 35, actor, anchor="middle", bold=True)
    for number, (sender, receiver, text) in enumerate(START):
        y, x = top + step * number + 22, place[sender]
        if receiver is None:
            picture.box(max(8, x - 170), y - 22, min(340, x + 162), 30, "b")
            picture.text(max(16, x - 160), y - 2, text, size=12)
            continue
        end = place[receiver]
        picture.path([(x, y), (end, y)], arrow=True)
        picture.text((x + end) / 2, y - 6, text, size=12, anchor="middle")
    return picture


def draw_choice():
    step = 78
    picture = Picture(760, step * len(QUESTIONS) + 70, "What pmu-hybrid=on chooses")
    for number, (first, second, answer, fill) in enumerate(QUESTIONS):
        y = 16 + number * step
        picture.box(16, y, 330, 48)
        picture.lines(28, y + 20, (first, second))
        picture.path([(346, y + 24), (430, y + 24)], arrow=True)
        picture.text(376, y + 18, "yes", anchor="middle", size=12)
        picture.box(432, y, 312, 48, fill)
        picture.text(444, y + 29, answer)
        picture.path([(180, y + 48), (180, y + step - 1)], arrow=True)
        picture.text(190, y + 67, "no", size=12)
    y = 16 + len(QUESTIONS) * step
    picture.box(16, y, 330, 38, "bad")
    picture.text(28, y + 24, REFUSAL)
    return picture


def read_layers():
    """(layer, what, rows) from docs/testing.md; the test `docs` compares them with tests/table."""
    found = re.findall(r"^\| (\w+) \| ([^|`]+) \| (`[^|]*`) \|$",
                       (DOCS / "testing.md").read_text(encoding="utf-8"), re.M)
    return [(name, what, rows.replace("`", "").split()) for name, what, rows in found]


def draw_layers():
    layers = [(name, what, textwrap.wrap(" ".join(rows), 78)) for name, what, rows in read_layers()]
    heights = [max(52, 20 + 15 * len(rows)) for _, _, rows in layers]
    picture = Picture(960, sum(heights) + 6 * len(layers) + 40, "Layers of tests")
    y = 12
    for number, ((name, what, rows), height) in enumerate(zip(layers, heights, strict=True)):
        picture.box(16, y, 928, height, "a" if number % 2 else "plain")
        picture.text(28, y + 22, name, bold=True)
        picture.text(28, y + 40, what, size=12)
        for line, text in enumerate(rows):
            picture.text(390, y + 20 + line * 15, text, size=11, colour=PALE)
        y += height + 6
    picture.text(28, y + 14, "A fault is best found in the lowest layer that can see it.", size=12)
    return picture


PICTURES = {"move": draw_move, "start": draw_start, "choice": draw_choice, "layers": draw_layers}


def renewed():
    """Yields each file and the contents that it should have."""
    for name, draw in PICTURES.items():
        yield DOCS / "pictures" / f"{name}.svg", str(draw())
    page = DOCS / "hardware.md"
    yield page, socs.put_on(page.read_text(encoding="utf-8"))


def stale():
    """Names of files that differ from what this program makes."""
    return [str(path.relative_to(TOP)) for path, text in renewed() if not path.exists()
            or path.read_text(encoding="utf-8") != text]


def main():
    if sys.argv[1:]:
        sys.exit(__doc__)
    for path, text in renewed():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
