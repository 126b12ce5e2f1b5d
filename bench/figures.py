# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns what bench.c prints on each host into the figures of bench.json, and has their bars.

What a host printed is a dictionary of numbers; a kernel has one for each topology. Figures are
differences of medians.
"""

BASE, SERIES, DROPPED = "stock", "patched", "one-event"
KERNELS = (BASE, SERIES, DROPPED)
# Hosts with 1, 2 and 3 PMUs; a figure that names no number of PMUs is of the one in the middle.
TOPOLOGIES = ("homogeneous", "biglittle", "tricluster")
USUAL = "biglittle"
VCPUS = (1, 2, 4)

# The bar of each figure, and what the figure is. Growth with PMUs: KVM finds an event by the index
# of its PMU, so a further PMU must not cost much. Growth with vCPUs: vCPUs share nothing, but can
# meet on a CPU in another order.
BARS = {
    "unused_mode_overhead_insn": (4, "KVM_RUN, mode not set, against stock"),
    "same_pmu_overhead_insn": (40, "after a move within the PMU, against stock's"),
    "cross_pmu_overhead_insn": (100, "after a move to another PMU, against one within it"),
    "cross_pmu_armed_overhead_insn": (700, "the same, an overflow armed"),
    "lost_cycles": (0, "over 1,000 moves to another PMU"),
    "pmccntr_read_insn": (2800, "guest's read of PMCCNTR_EL0, mode not set"),
    "pmccntr_read_overhead_insn": (50, "the same with the mode set, minus mode not set"),
    "pmccntr_write_insn": (4500, "guest's write of PMCCNTR_EL0, mode not set"),
    "pmccntr_write_overhead_insn": (100, "the same with the mode set and all PMUs visited, minus "
                                         "mode not set"),
    "pmccntr_write_cross_pmu_overhead_insn": (800, "the same right after a move to another PMU"),
    "growth_with_pmus_insn": (50, "of the cost of a move, from two PMUs to three"),
    "growth_with_vcpus_insn": (16, "of the cost of a move, from one vCPU to two or four"),
    "vcpu_struct_overhead_bytes": (16, "of a vCPU's structure, against stock's"),
}

# Laps whose median is a figure, too
RUNS = (
    ("same_cpu", "fixed", "same_cpu"),
    ("same_pmu", "fixed", "same_pmu"),
    ("cross_pmu", "fixed", "cross_pmu"),
    ("cross_pmu_armed", "armed", "cross_pmu"),
)


def run(host, setup, move, vcpus=1, kind="run_insn"):
    """The median of a lap."""
    return host[f"{setup}_{move}_{vcpus}_vcpus_{kind}"]


def crossing(host, setup="fixed", vcpus=1):
    """How much more a move to another PMU costs than one within a PMU."""
    return run(host, setup, "cross_pmu", vcpus) - run(host, setup, "same_pmu", vcpus)


def without_gain(overhead, read, base):
    """The overhead without the gain of a cheaper read: each lap reads the counter, which costs less
    than on the base kernel and would hide other costs."""
    return max(overhead, overhead - (read - base["single_read_insn"]))


def unused_overhead(host, base, move):
    return without_gain(run(host, "unused", move) - run(base, "unused", move),
                        host["single_read_insn"], base)


def same_pmu_overhead(host, base):
    return without_gain(run(host, "fixed", "same_pmu") - run(base, "unused", "same_pmu"),
                        host["fixed_read_insn"], base)


def move_overhead(host, base):
    """How much more a move to another PMU costs than a move on the base kernel, whose counter has
    one PMU. On a host with one PMU: a move within it."""
    move = "cross_pmu" if host["host_pmus"] > 1 else "same_pmu"
    return run(host, "fixed", move) - run(base, "unused", "same_pmu")


def write_overhead(host, move):
    return host[f"fixed_{move}_write_insn"] - host["single_same_cpu_write_insn"]


def judged_figures(hosts, bases):
    """The figures that have a bar, each for the topology where it is worst."""
    pairs = [(hosts[topology], bases[topology]) for topology in TOPOLOGIES]
    crossed = [host for host, _ in pairs if host["host_pmus"] > 1]
    of_vcpus = {vcpus: crossing(hosts[USUAL], vcpus=vcpus) for vcpus in VCPUS}
    moves = {host["host_pmus"]: move_overhead(host, base) for host, base in pairs}
    return {
        "unused_mode_overhead_insn": max(unused_overhead(host, base, move)
                                         for host, base in pairs
                                         for move in ("same_cpu", "same_pmu")),
        "same_pmu_overhead_insn": max(same_pmu_overhead(host, base) for host, base in pairs),
        "cross_pmu_overhead_insn": max(crossing(host) for host in crossed),
        "cross_pmu_armed_overhead_insn": max(crossing(host, "armed") for host in crossed),
        "lost_cycles": max(host["fixed_lost_cycles"] for host in crossed),
        "pmccntr_read_insn": max(host["single_read_insn"] for host, _ in pairs),
        "pmccntr_read_overhead_insn": max(host["fixed_read_insn"] - host["single_read_insn"]
                                          for host, _ in pairs),
        "pmccntr_write_insn": max(host["single_same_cpu_write_insn"] for host, _ in pairs),
        "pmccntr_write_overhead_insn": max(write_overhead(host, "same_cpu") for host, _ in pairs),
        "pmccntr_write_cross_pmu_overhead_insn": max(write_overhead(host, "cross_pmu")
                                                     for host in crossed),
        "growth_with_pmus_insn": moves[3] - moves[2],
        "growth_with_vcpus_insn": max(of_vcpus[vcpus] - of_vcpus[1] for vcpus in VCPUS),
        "vcpu_struct_overhead_bytes": max(host["vcpu_bytes"] - base["vcpu_bytes"]
                                          for host, base in pairs),
    }


def detailed_figures(hosts, bases, keeps_events):
    """Figures without a bar. KEEPS_EVENTS: the kernel keeps a perf event for each PMU."""
    usual = hosts[USUAL]
    figures = {
        "cross_pmu_armed_64bit_overhead_insn": crossing(usual, "armed_64bit"),
        "migration_overhead_insn": (run(usual, "fixed", "cross_pmu", kind="move_and_run_insn")
                                    - run(bases[USUAL], "unused", "same_pmu",
                                          kind="move_and_run_insn")),
        "pmccntr_read_base_insn": bases[USUAL]["single_read_insn"],
        "pmccntr_write_base_insn": bases[USUAL]["single_same_cpu_write_insn"],
        "vcpu_struct_bytes": usual["vcpu_bytes"],
        "perf_event_bytes": usual["event_bytes"],
    }
    for host, base in ((hosts[topology], bases[topology]) for topology in TOPOLOGIES):
        figures[f"move_overhead_{host['host_pmus']}_pmus_insn"] = move_overhead(host, base)
        events = host["host_pmus"] if keeps_events else 1
        figures[f"memory_per_vcpu_{host['host_pmus']}_pmus_bytes"] = memory(host, events)
    for vcpus in VCPUS:
        figures[f"cross_pmu_overhead_{vcpus}_vcpus_insn"] = crossing(usual, vcpus=vcpus)
    for name, setup, move in RUNS:
        figures[f"run_{name}_insn"] = run(usual, setup, move)
        figures[f"run_{name}_spread_insn"] = run(usual, setup, move, kind="run_spread_insn")
    return figures


def base_figures(bases):
    """Figures of the base kernel, where a counter has one PMU. There is none for a move to another
    PMU, which costs less there, as the counter stands still."""
    usual = bases[USUAL]
    return {
        **{f"run_{move}_insn": run(usual, "unused", move) for move in ("same_cpu", "same_pmu")},
        "vcpu_struct_bytes": usual["vcpu_bytes"],
        "perf_event_bytes": usual["event_bytes"],
        **{f"memory_per_vcpu_{base['host_pmus']}_pmus_bytes": memory(base, 1)
           for base in bases.values()},
    }


def memory(host, events):
    """Bytes that a vCPU takes: its structure and its perf events."""
    return host["vcpu_bytes"] + events * host["event_bytes"]


def all_figures(recorded):
    """The content of bench.json. RECORDED has what each kernel printed, by topology. Figures begin
    with the name of their kernel, except for those of the series."""
    bases = recorded[BASE]
    of_kernels = {
        SERIES: judged_figures(recorded[SERIES], bases)
        | detailed_figures(recorded[SERIES], bases, keeps_events=True),
        DROPPED: judged_figures(recorded[DROPPED], bases)
        | detailed_figures(recorded[DROPPED], bases, keeps_events=False),
        BASE: base_figures(bases),
    }
    return {prefix_of(kernel) + name: value for kernel, figures in of_kernels.items()
            for name, value in figures.items()}


def prefix_of(kernel):
    """The beginning of the names of a kernel's figures."""
    return "" if kernel == SERIES else f"{kernel}_"


def missed_bars(figures, kernel=SERIES):
    """A line for each of the kernel's figures that is above its bar."""
    prefix = prefix_of(kernel)
    return [f"{prefix}{name} is {figures[prefix + name]:,}, at most {bar:,} is tolerated ({what})"
            for name, (bar, what) in BARS.items() if figures[prefix + name] > bar]
