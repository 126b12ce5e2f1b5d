# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of SoCs on docs/hardware.md, of the SoCs that QEMU's unit test and the tests of pmu-hybrid-check have."""
import importlib.machinery
import importlib.util
import re
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
MARKS = ("<!-- SoCs -->\n", "<!-- end of SoCs -->\n")
# Kind: heading, and what it means
KINDS = {
    "separate": ("One PMU for each kind of core", "A guest's counter stands still on the other kinds of core. Use the overlay or the pair."),
    "shared": ("Several PMUs that all claim every CPU", "Their nodes share one interrupt without partitions, so only the first PMU gets overflow "
               "interrupts.\nThe overlay gives all of them."),
    "one": ("One PMU for all cores", "Nothing to do: guests count on every CPU."),
    "none": ("No PMU", "KVM has no PMU for guests. The overlay adds the node, see [how it works](overlay.md#how-it-works)."),
}


def read_boards():
    """The program's own reader of the table."""
    loader = importlib.machinery.SourceFileLoader("boards_of_tool", str(TOP / "tests" / "tool" / "boards"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module.read_boards()


def kind_of(cpus, pmus):
    if not pmus:
        return "none"
    if len(pmus) == 1:
        return "one"
    return "shared" if all(listed == cpus[0] for listed in pmus.values()) else "separate"


def make_table():
    boards = {}
    for name, (cpus, pmus, _) in sorted(read_boards().items()):
        boards.setdefault(kind_of(cpus, pmus), []).append((name, pmus))
    for kind, (heading, meaning) in KINDS.items():
        yield f"### {heading}\n\n{meaning}\n\n"
        yield "| SoC | PMUs: CPUs |\n|---|---|\n"
        for name, pmus in boards.pop(kind):
            vendor, _, soc = name.partition("-")
            yield f"| {vendor} {soc} | {', '.join(f'`{pmu}`: {listed}' for pmu, listed in pmus.items()) or 'none'} |\n"
        yield "\n"


def put_on(page):
    """PAGE with a fresh table."""
    start, end = MARKS
    text, count = re.subn(f"{start}.*{end}", lambda _: f"{start}{''.join(make_table())}{end}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the page has {count} places for SoCs, between {start.strip()} and {end.strip()}; it needs one")
    return text
