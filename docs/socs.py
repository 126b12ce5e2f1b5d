# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the tables of SoCs on docs/hardware.md, of the SoCs in the tests of the tool and of
QEMU."""
import importlib.machinery
import importlib.util
import re
import textwrap
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
MARKS = ("<!-- SoCs -->\n", "<!-- end of SoCs -->\n")
# Kind: heading, and what it means
KINDS = {
    "separate": ("One PMU for each kind of core",
                 "A guest's counter stands still on the other kinds of core. Run `pmu-hybrid-check "
                 "--overlay` on the board: it\nasks KVM for the number of event counters of each "
                 "kind, and writes the overlay if the numbers are equal. If not,\nuse the pair."),
    "shared": ("Several PMUs that all claim every CPU",
               "Their nodes share one interrupt without partitions, so only the first PMU gets "
               "overflow interrupts.\nThe overlay gives all of them."),
    "one": ("One PMU for all cores", "Nothing to do: guests count on every CPU."),
    "none": ("No PMU",
             "KVM has no PMU for guests. The overlay adds the node, see [how it "
             "works](overlay.md#how-it-works)."),
}


def read_boards():
    """The SoCs, read by the reader of tests/tool/boards."""
    path = str(TOP / "tests" / "tool" / "boards")
    loader = importlib.machinery.SourceFileLoader("boards_of_tool", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module.read_boards()


def kind_of(cpus, pmus):
    if not pmus:
        return "none"
    if len(pmus) == 1:
        return "one"
    return "shared" if all(listed == cpus[0] for listed in pmus.values()) else "separate"


def read_example(boards):
    """Markdown with the node that an overlay adds for one of BOARDS, as the tests expect it."""
    text = (TOP / "tests" / "tool" / "overlays.expected").read_text(encoding="utf-8")
    overlays = dict(re.findall(r"^=== (\S+):\n(.*?)(?=^===|\Z)", text, re.M | re.S))
    board = next(name for name in boards if name in overlays)
    node = re.search(r"^\t+pmu-all-cpus \{.*?\};\n", overlays[board], re.M | re.S)[0]
    return ("For example, `pmu-hybrid-check --overlay` adds for "
            f"{board}\n\n```\n{textwrap.dedent(node).expandtabs(4)}```\n\n")


def make_table():
    boards = {kind: {} for kind in KINDS}
    for name, (cpus, pmus, _) in sorted(read_boards().items()):
        # as in device trees
        boards[kind_of(cpus, pmus)][name.replace("-", ",", 1)] = pmus
    for kind, (heading, meaning) in KINDS.items():
        yield f"### {heading}\n\n{meaning}\n\n| SoC | PMUs: CPUs |\n|---|---|\n"
        for name, pmus in boards[kind].items():
            listing = ", ".join(f"`{pmu}`: {cpus}" for pmu, cpus in pmus.items())
            yield f"| `{name}` | {listing or 'none'} |\n"
        yield "\n"
    yield read_example(boards["none"])


def put_on(page):
    """The text of PAGE with new tables."""
    start, end = MARKS
    text, count = re.subn(f"{start}.*{end}", lambda _: f"{start}{''.join(make_table())}{end}", page,
                          flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the page has {count} places for SoCs, between {start.strip()} and "
                         f"{end.strip()}; it needs one")
    return text
