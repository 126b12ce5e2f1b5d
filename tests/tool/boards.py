#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Device trees of the boards in boards.tsv, with what PMUs need, for tests/tool-overlay.t.

  boards.py socs                  the boards
  boards.py tree SOC              a device tree, as source
  boards.py unpack DTB FOLDER     a tree as Linux shows it in /sys/firmware/devicetree/base
  boards.py expect SOC            the interrupts of one PMU for all CPUs, by the table
  boards.py found DTB             the same, of all PMU nodes that are not switched off
"""
import argparse
import struct
import sys
from pathlib import Path

NAMES = "kind", "soc", "cores", "cells", "timer", "pmus"
SPI, PPI = 0, 1
BEGIN_NODE, END_NODE, PROPERTY, END = 1, 2, 3, 9


def read_boards():
    rows = [line.split("\t")
            for line in Path(__file__).with_name("boards.tsv").read_text().splitlines()
            if not line.startswith("#")]
    return {row[1]: dict(zip(NAMES, row, strict=True)) for row in rows}


def parse_numbers(text):
    numbers = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def parse_pmus(board):
    """(compatible, CPUs, whether it has a PPI, interrupts, flags) of each PMU."""
    pmus = []
    for word in board["pmus"].split() if board["pmus"] != "-" else []:
        compatible, cpus, interrupts = word.split("=")
        numbers, flags = interrupts.split(":")
        pmus.append((compatible, parse_numbers(cpus), numbers.startswith("ppi"),
                     parse_numbers(numbers[3:]), int(flags, 16)))
    return pmus


def parse_cores(board):
    cores = []
    for word in board["cores"].split():
        count, kind = word.split("x", 1)
        cores += [kind if "," in kind else f"arm,{kind}"] * int(count)
    return cores


def references(cpus):
    return " ".join(f"&cpu{cpu}" for cpu in cpus)


def write_pmu(number, pmu, cells, whole, parent):
    compatible, cpus, is_ppi, interrupts, flags = pmu
    last = (f" &part{number}" if is_ppi and not whole else " 0") if cells == 4 else ""
    kind = PPI if is_ppi else SPI
    lines = [f'compatible = "{compatible}";', f"interrupt-parent = <&{parent}>;" if parent else "",
             "interrupts = " + ", ".join(f"<{kind} {interrupt} {flags:#x}{last}>"
                                         for interrupt in interrupts) + ";",
             "" if is_ppi else f"interrupt-affinity = <{references(cpus)}>;"]
    return f"pmu{number}: pmu-{number} {{ {' '.join(lines)} }};"


def write_tree(board):
    cells, pmus, cores = int(board["cells"]), parse_pmus(board), parse_cores(board)
    behind = board["timer"].endswith("+")
    zero = " 0" if cells == 4 else ""
    partitions = [f"part{number}: interrupt-partition-{number} "
                  f"{{ affinity = <{references(cpus)}>; }};"
                  for number, (_, cpus, is_ppi, _, _) in enumerate(pmus)
                  if cells == 4 and is_ppi and len(cpus) < len(cores)]
    # only the GIC has PPIs
    parent = "gic" if behind and pmus and pmus[0][2] else ""
    controller = (f" interrupt-controller; #interrupt-cells = <{cells}>; #address-cells = <0>;"
                  " interrupt-parent = <&gic>;")
    nodes = [
        'gic: interrupt-controller@1000 { compatible = "arm,gic-v3"; reg = <0x1000 0x1000>;'
        + controller,
        "ppi-partitions {", *partitions, "};", "};",
        'before: interrupt-controller@2000 { compatible = "vendor,sysirq"; reg = <0x2000 0x1000>;'
        + controller + " };",
        'timer: timer { compatible = "arm,armv8-timer"; interrupt-parent = <&gic>;'
        + f" interrupts = <{PPI} 13 0x{board['timer'].rstrip('+')}{zero}>; }};",
        "cpus { #address-cells = <1>; #size-cells = <0>;",
        *(f'cpu{number}: cpu@{number:x} {{ device_type = "cpu"; compatible = "{kind}";'
          + f" reg = <{number}>; }};" for number, kind in enumerate(cores)),
        "};",
        *(write_pmu(number, pmu, cells, len(pmu[1]) == len(cores), parent)
          for number, pmu in enumerate(pmus)),
        # named like a PMU of CPUs, but none
        'power: power-management@3000 { compatible = "vendor,soc-pmu", "syscon"; reg = <0x3000 '
        '0x1000>; };',
    ]
    root = ("#address-cells = <1>; #size-cells = <1>; interrupt-parent = "
            f'<&{"before" if behind else "gic"}>;')
    name = board["soc"]
    return "\n".join(["/dts-v1/;", "/ {", root, f'model = "{name}"; compatible = "{name}";',
                      *nodes, "};", ""])


def read_dtb(path):
    """{path of node: {property: bytes}}; the form is in the Devicetree Specification, chapter 5."""
    data = Path(path).read_bytes()
    at, strings = struct.unpack_from(">II", data, 8)
    nodes, names = {}, []

    def text(start):
        return data[start:data.index(0, start)].decode()

    while (token := struct.unpack_from(">I", data, at)[0]) != END:
        at += 4
        if token == BEGIN_NODE:
            names.append(text(at))
            at += len(names[-1]) + 4 & ~3
            nodes["/".join(names)] = {}
        elif token == END_NODE:
            names.pop()
        elif token == PROPERTY:
            size, name = struct.unpack_from(">II", data, at)
            nodes["/".join(names)][text(strings + name)] = data[at + 8:at + 8 + size]
            at += 8 + (size + 3 & ~3)
    return nodes


def unpack(dtb, folder):
    for node, properties in read_dtb(dtb).items():
        place = Path(folder + node)
        place.mkdir(parents=True)
        for name, value in properties.items():
            (place / name).write_bytes(value)


def format_pmu(compatible, controller, interrupts):
    return "\n".join([f"{compatible} at {controller}", *(f"  {line}" for line in interrupts)])


def expect(board):
    pmus, cells = parse_pmus(board), int(board["cells"])
    behind = board["timer"].endswith("+")
    controller = ("/interrupt-controller@2000" if behind and pmus and not pmus[0][2]
                  else "/interrupt-controller@1000")
    if not pmus:
        lines = [f"PPI 7 flags 0x{board['timer'].rstrip('+')} on all CPUs"]
    elif pmus[0][2]:
        # GICv2's flags have a bit for each CPU
        flags = pmus[0][4] if cells == 4 else 0
        for pmu in pmus:
            flags |= pmu[4] if cells == 3 else 0
        lines = [f"PPI {pmus[0][3][0]} flags {flags:#x} on all CPUs"]
    else:
        lines = sorted(f"SPI {interrupt} flags {pmu[4]:#x} on /cpus/cpu@{cpu:x}" for pmu in pmus
                       for cpu, interrupt in zip(pmu[1], pmu[3], strict=True))
    return format_pmu("arm,armv8-pmuv3", controller, lines)


def cells_of(value):
    return struct.unpack(f">{len(value) // 4}I", value)


def find_parent(nodes, node):
    while "interrupt-parent" not in nodes[node]:
        node = node.rpartition("/")[0]
    return cells_of(nodes[node]["interrupt-parent"])[0]


def format_found(nodes, node):
    phandles = {cells_of(properties["phandle"])[0]: path for path, properties in nodes.items()
                if "phandle" in properties}
    controller = phandles[find_parent(nodes, node)]
    size = cells_of(nodes[controller]["#interrupt-cells"])[0]
    values = cells_of(nodes[node]["interrupts"])
    affinity = [phandles[value] for value in cells_of(nodes[node].get("interrupt-affinity", b""))]
    lines = []
    for number, at in enumerate(range(0, len(values), size)):
        kind, interrupt, flags, *rest = values[at:at + size]
        where = (affinity[number] if affinity else f"partition {rest[0]}" if any(rest)
                 else "all CPUs")
        lines.append(f"{'PPI' if kind == PPI else 'SPI'} {interrupt} flags {flags:#x} on {where}")
    compatible = nodes[node]["compatible"].split(b"\0")[0].decode()
    return format_pmu(compatible, controller, sorted(lines))


def found(dtb):
    nodes = read_dtb(dtb)
    enabled = [node for node, properties in nodes.items() if node.startswith("/pmu")
               and properties.get("status", b"okay\0") == b"okay\0"]
    return "\n".join(format_found(nodes, node) for node in enabled)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("socs", "tree", "unpack", "expect", "found"))
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    boards = read_boards()
    actions = {
        "socs": lambda: print("\n".join(boards)),
        "tree": lambda soc: sys.stdout.write(write_tree(boards[soc])),
        "unpack": unpack,
        "expect": lambda soc: print(expect(boards[soc])),
        "found": lambda dtb: print(found(dtb)),
    }
    actions[arguments.action](*arguments.words)


if __name__ == "__main__":
    main()
