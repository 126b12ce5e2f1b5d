# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: unmodified Debian kernels, old and new, booted directly or by UEFI with ACPI, use the PMU
that they are given.

`perf` in the guest counts cycles on each CPU and samples by them while the vCPUs move, also after
sleep and after a CPU went offline and online. The guest is that of guests/linux. The row
linux-guest checks exact counts, with one of the kernels.
"""
import itertools
import re

from hosts import ARTIFACTS, poll, scaled
from vms import FIXED, MOVER, VmTest

DEBIAN, NEWER = ARTIFACTS / "guests-linux", ARTIFACTS / "guests-linux-newer"
UEFI = ARTIFACTS / "guests-uefi"
INITRD = DEBIAN / "initrd"
OLD, STABLE, NEW = DEBIAN / "vmlinuz", NEWER / "vmlinuz-trixie", NEWER / "vmlinuz-trixie-backports"
FIRMWARE = [UEFI / "AAVMF_CODE.fd", UEFI / "AAVMF_VARS.fd"]
# Instructions of a loop, and the cycles that it takes at least: no core is known that needs less
# than an eighth of a cycle for an instruction.
LOOP, LEAST_CYCLES = 20_000_000, 2_500_000
# Cycles between samples; number of lots of moves, and moves of each vCPU in a lot; seconds of sleep
PERIOD, LOTS, MOVES, ASLEEP = 10_000_000, 5, 30, 2
TIMEOUT = 2400
DRIVER = r"hw perfevents: enabled with armv8_pmuv3\S* PMU driver, {}( \(.*\))? counters available"
TROUBLE = r"WARNING: |BUG: |hw perfevents: .*(fail|unable)"
# An alarm before the guest is asleep is a wakeup event, and the kernel refuses to sleep: try again
WAKE_BY_CLOCK = ("cd /sys/power && until echo 0 >/sys/class/rtc/rtc0/wakealarm && "
                 "count=$(cat wakeup_count) && "
                 f"echo +{ASLEEP} >/sys/class/rtc/rtc0/wakealarm && echo $count >wakeup_count && "
                 "echo freeze >state; do :; done")
# For a guest that knows no clock that could wake it: its devices sleep, and the kernel wakes them
# at once. By default it first waits five seconds in a busy loop, which the watchdog of a guest on a
# slow host takes for a lockup.
PM_TEST = ("echo 0 >/sys/module/suspend/parameters/pm_test_delay && "
           "echo platform >/sys/power/pm_test && echo freeze >/sys/power/state")
REFUSED = "<not supported>"
# The line that ends an answer; the firmware may leave an escape sequence before it
ANSWER = re.compile(r"(?:^|\x1b\[\d+;\d+H)status (\d+)\r?\n", re.M)


class Guest:
    """Debian on a VM's console, which runs commands. Its boot ends with an answer, too."""

    def __init__(self, test, vm):
        self.test, self.vm = test, vm
        self.read = 0
        self.take_answer("(boot)")
        self.driver = self.run("dmesg | grep 'PMU driver'")
        self.cpus = range(len(vm.cpus))

    def take_answer(self, command):
        """Waits for a command to end, with status 0; returns what it printed."""
        def find():
            self.vm.check_well()
            return ANSWER.search(self.vm.console, self.read)
        found = poll(f"the guest's answer to '{command}'", find, self.vm.explain, interval=0.2)
        text = self.vm.console[self.read:found.start()].replace("\r", "")
        self.read = found.end()
        self.test.check_equal(found[1], "0",
                              f"exit status of '{command}' in the guest, which printed {text!r}")
        return text

    def run(self, command):
        """Runs a command, which must succeed; returns what it prints."""
        self.vm.send(command)
        return self.take_answer(command)

    def overflows(self):
        """How many interrupts of the PMU each CPU has had."""
        words = self.run("grep arm-pmu /proc/interrupts").split()
        return [int(word) for word in words[1:1 + len(self.cpus)]]

    def has_more_overflows(self, before):
        """Whether each CPU has had another interrupt of the PMU since overflows() gave BEFORE."""
        return all(now > then for then, now in zip(before, self.overflows(), strict=True))

    def count(self, cpu):
        """Cycles and instructions of a loop on that CPU: numbers, or what perf prints instead."""
        counts = {}
        command = f"taskset {1 << cpu:x} perf stat -x, -e cycles,instructions spin {LOOP}"
        for line in self.run(command).splitlines():
            value, _, event, _, percent = line.split(",")[:5]
            self.test.check_equal(percent, "100.00",
                                  f"percentage of the time in which {event} had a counter")
            counts[event] = int(value) if value.isdigit() else value
        return counts["cycles"], counts["instructions"]


class Linux(VmTest):
    """Each test boots one kernel, since that takes longest."""

    timeout = scaled(TIMEOUT)

    def test_old(self):
        """Debian 12's kernel, direct boot"""
        self.use_fixed_counters(OLD)

    def test_stable(self):
        """Debian 13's kernel, direct boot"""
        self.use_fixed_counters(STABLE)

    def test_new(self):
        """The newest packaged kernel, direct boot"""
        self.use_fixed_counters(NEW)

    def test_uefi(self):
        """Debian 13's kernel by UEFI, with ACPI"""
        drives = []
        for unit, file in enumerate(FIRMWARE):
            drives += ["-drive", f"if=pflash,unit={unit},format=raw,snapshot=on,file={file.name}"]
        self.use_fixed_counters(STABLE, *drives, files=FIRMWARE, sleep=PM_TEST,
                                check="ls /sys/firmware/acpi/tables/APIC")

    def test_one_pmu(self):
        """Debian 12's kernel with one PMU: it counts instructions, too"""
        # the emulated PMU counts instructions only with icount
        with self.host(pmus=2, files=[OLD, INITRD], icount=True) as host, \
                self.boot(host, OLD) as vm:
            name, cpus = list(host.pmus.items())[-1]
            vm.pin(cpus)
            self.check_equal(vm.cont().backends, [name, name], "backends")
            guest = Guest(self, vm)
            self.check(not re.search(DRIVER.format(1), guest.driver),
                       f"expected event counters, got {guest.driver!r}")
            for cpu in guest.cpus:
                cycles, instructions = guest.count(cpu)
                self.check(cycles >= LEAST_CYCLES,
                           f"cycles on CPU {cpu}: expected at least {LEAST_CYCLES}, got {cycles}")
                self.check(instructions >= LOOP,
                           f"instructions on CPU {cpu}: expected at least {LOOP}, got "
                           f"{instructions}")

    def boot(self, host, kernel, *options):
        """A VM with Debian, to be started."""
        return self.vm(host, "-initrd", INITRD.name, *options, kernel=kernel,
                       append="console=ttyAMA0 quiet", memory=512)

    def use_fixed_counters(self, kernel, *options, files=(), sleep=WAKE_BY_CLOCK, check="true"):
        """Boots a Linux with the fixed counters; it counts, samples, sleeps, takes a CPU off."""
        with self.host(pmus=2, mode=True, files=[kernel, INITRD, MOVER, *files]) as host, \
                self.boot(host, kernel, *options) as vm:
            self.check_equal(vm.cont().backends, [FIXED, FIXED], "backends")
            guest = Guest(self, vm)
            self.log.info("kernel: %s", guest.run(f"{check} && uname -r"))
            self.check(re.search(DRIVER.format(1), guest.driver),
                       f"expected a driver with one counter, got {guest.driver!r}")
            self.check_counts(guest, "after boot")
            self.check_samples(guest)
            guest.run(sleep)
            self.check_counts(guest, "after sleep")
            guest.run("cd /sys/devices/system/cpu/cpu1 && echo 0 >online && echo 1 >online")
            self.check_counts(guest, "after a CPU was off")
            log = guest.run("dmesg")
            self.check_in("PM: suspend exit", log, "the guest's log")
            self.check(not re.search(TROUBLE, log),
                       f"expected no trouble in the guest's log, got {log!r}")

    def check_counts(self, guest, when):
        """Each CPU of the guest counts cycles on each cluster, and refuses instructions."""
        for cluster, cpu in itertools.product(guest.vm.host.clusters, guest.cpus):
            guest.vm.pin(cluster)
            cycles, instructions = guest.count(cpu)
            where = f"on vCPU {cpu} on the host's CPUs {cluster} {when}"
            self.check(isinstance(cycles, int) and cycles >= LEAST_CYCLES,
                       f"cycles {where}: expected {LEAST_CYCLES} or more, got {cycles}")
            self.check_equal(instructions, REFUSED, f"instructions {where}")

    def check_samples(self, guest):
        """Fails unless samples keep coming on each CPU, however often the vCPUs move."""
        for cpu in guest.cpus:
            guest.run(f"taskset {1 << cpu:x} perf record -q -e cycles -c {PERIOD} -o /data{cpu} "
                      f"spin {10 ** 15} >/dev/null 2>&1 &")
        poll("a first sample on each CPU", lambda: all(guest.overflows()), guest.vm.explain)
        for lot in range(1, LOTS + 1):
            guest.vm.move(MOVES)
            before = guest.overflows()
            poll(f"another sample on each CPU after {lot * MOVES} moves",
                 lambda before=before: guest.has_more_overflows(before), guest.vm.explain)
        overflows = guest.overflows()
        guest.run("killall spin; wait")
        samples = [int(guest.run(f"perf script -i /data{cpu} -F time | wc -l"))
                   for cpu in guest.cpus]
        self.log.info("%s samples, %s interrupts", samples, overflows)
        self.check(min(samples) >= LOTS,
                   f"samples on each CPU: expected at least {LOTS}, one after each lot of moves, "
                   f"got {samples}")
