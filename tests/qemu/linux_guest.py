# SPDX-License-Identifier: GPL-2.0-or-later
"""An unmodified Debian kernel as guest: its perf counts cycles wherever the vCPU threads run. See
guests/linux; needs --icount.

With --icount an instruction takes a cycle, which is a nanosecond, so a loop of N instructions takes
at least N cycles. The counter also counts the program's start and, as emulated CPUs take turns,
what other CPUs do meanwhile. It cannot count more cycles than the nanoseconds that perf's clock
shows. """

import functools
import itertools
import re
import subprocess
import time

from vm import (ALL_CPUS, BIG, BIG_CPUS, FIXED, HYBRID, PMUS, SMALL, SMALL_CPUS, Vm, each_of, equal,
                match)

ONLY_ON = "patched"
LOOP, LONG_LOOP = 20_000_000, 400_000_000
# Seconds on a CPU, and the least number of moves to each CPU
STAY, ROUNDS = 0.002, 10
DRIVER = r"hw perfevents: enabled with armv8_pmuv3 PMU driver, {}( \(.*\))? counters available\n"
REFUSED = "<not supported>"


class Debian(Vm):
    """A guest that runs commands. QEMU starts on the small CPUs, so that KVM takes their PMU unless
    told otherwise."""

    def __init__(self, cpu):
        super().__init__(cpu, guest="console=ttyAMA0 quiet", kernel="guests-linux/vmlinuz",
                         memory=512, extra=["-initrd", "guests-linux/initrd"],
                         stdin=subprocess.PIPE, affinity=SMALL_CPUS)
        self._read = 0
        self.connect().pin(ALL_CPUS)
        self.cont()
        self.take_answer()
        # clears the guest's log, so that later messages are not those of the boot
        self.driver = self.run("dmesg -c | grep 'PMU driver'")

    def _ended(self):
        return re.search(r"^status (\d+)\n", self.console[self._read:], re.M)

    def send(self, command):
        """Starts a command in the guest."""
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def answered(self):
        """Whether the command has ended."""
        return self._ended() is not None

    def take_answer(self):
        """Returns what the command printed, which must succeed."""
        self.wait_until("the guest's answer", self.answered)
        end = self._ended()
        text = self.console[self._read:self._read + end.start()]
        self._read += end.end()
        equal(end[1], "0", f"exit status in the guest, where was printed {text!r}")
        return text

    def run(self, command):
        """Runs a command in the guest; returns what it prints."""
        self.send(command)
        return self.take_answer()

    def place(self, cpu, vcpu=0):
        """Pins one vCPU to the CPU and all others elsewhere: two vCPUs on a CPU flush the TLB at
        each switch, which takes the emulator seconds."""
        elsewhere = set(ALL_CPUS) - {cpu}
        self.pin(*({cpu} if index == vcpu else elsewhere for index in range(len(self.cpus))))


@functools.cache
def linux_guest(cpu):
    """The guest with this -cpu; it boots once and ends with the host."""
    return Debian(cpu)


def perf_stat(events, loop, vcpu=0):
    """The command that counts events over a loop on one vCPU."""
    return f"taskset {1 << vcpu:x} perf stat -x, -e {events} spin {loop}"


def read_counts(text):
    """Count of each event that perf printed, as a number if it is one, and the nanoseconds for
    which the event had a counter, which has to be all the time."""
    counts = {}
    for line in text.splitlines():
        value, _, event, running, percent = line.split(",")[:5]
        equal(percent, "100.00", f"percentage of the time in which {event} had a counter")
        counts[event] = int(value) if value.isdigit() else value, int(running)
    return counts


def is_loop(counted, loop, where):
    """Fails if the loop cannot have taken this number of cycles or instructions."""
    count, running = counted
    if not isinstance(count, int) or not loop <= count <= running:
        raise AssertionError(f"{where}: expected {loop} to {running}, got {count!r}")


def test_driver():
    """the guest's driver finds the cycle counter alone, and no event but cycles"""
    guest = linux_guest(HYBRID)
    equal(guest.backends, FIXED, "backend")
    match(DRIVER.format(1), guest.driver, "the driver's message")
    equal(guest.run("ls /sys/bus/event_source/devices/armv8_pmuv3/events").split(), ["cpu_cycles"],
          "events")


@each_of({f"CPU {cpu} ({name})": cpu for name, cpus in PMUS for cpu in cpus})
def test_counts(cpu):
    """perf counts cycles on each vCPU, and reports that instructions are not supported"""
    guest = linux_guest(HYBRID)
    for vcpu in range(len(guest.cpus)):
        guest.place(cpu, vcpu)
        counts = read_counts(guest.run(perf_stat("cycles,instructions", LOOP, vcpu)))
        is_loop(counts["cycles"], LOOP, f"vCPU {vcpu}")
        equal(counts["instructions"], (REFUSED, 0), f"instructions on vCPU {vcpu}")


def test_moving():
    """perf's cycles go on counting while a vCPU moves from PMU to PMU in the middle of a loop"""
    guest = linux_guest(HYBRID)
    interleaved = [cpu for row in itertools.zip_longest(*(cpus for _, cpus in PMUS)) for cpu in row
                   if cpu is not None]
    places = itertools.cycle(interleaved)
    moves = 0
    while moves < ROUNDS * len(interleaved):
        before = moves
        guest.send(perf_stat("cycles:u", LONG_LOOP))
        while not guest.answered():
            guest.place(next(places))
            moves += 1
            time.sleep(STAY)
        counts = read_counts(guest.take_answer())
        is_loop(counts["cycles:u"], LONG_LOOP, f"{moves - before} moves")


def test_quiet():
    """neither refusals nor moves leave a message in the guest's kernel log or on QEMU's stderr"""
    guest = linux_guest(HYBRID)
    equal(read_counts(guest.run(perf_stat("instructions", LOOP))), {"instructions": (REFUSED, 0)},
          "counts")
    equal(guest.run("dmesg"), "", "kernel log")
    match(r"\Ainfo: pmu-hybrid: [^\n]*\n\Z", guest.stderr, "QEMU's stderr")


def test_without():
    """without pmu-hybrid, cycles and instructions count on the CPUs of one PMU, and cycles stand
    still on other CPUs"""
    guest = linux_guest("host")
    match(DRIVER.format(7), guest.driver, "the driver's message")
    counts = {}
    for name, cpu in (SMALL, SMALL_CPUS[0]), (BIG, BIG_CPUS[0]):
        guest.place(cpu)
        counts[name] = read_counts(guest.run(perf_stat("cycles,instructions", LOOP)))
    is_loop(counts[SMALL]["cycles"], LOOP, SMALL)
    is_loop(counts[SMALL]["instructions"], LOOP, SMALL)
    equal(counts[BIG]["cycles"][0], 0, f"cycles on {BIG}")
