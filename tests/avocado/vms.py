# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU on the test host: monitor (qemu.qmp through ssh), vCPU threads, console. See hosts.py."""
import contextlib
import logging
import time
from pathlib import Path

from hosts import ARTIFACTS, WAIT, HostTest, poll, scaled, tail
from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

HYBRID = "host,pmu-hybrid=on"
FIXED = "fixed-counters"
WINLIKE = ARTIFACTS / "guests" / "winlike.bin"
MOVER = Path(__file__).with_name("mover.py")
# What must not happen to a VM that is well.
BAD_EVENTS = {"RESET", "SHUTDOWN", "GUEST_PANICKED", "GUEST_CRASHLOADED", "STOP", "WATCHDOG",
              "MEMORY_FAILURE", "POWERDOWN"}
BAD_STATES = {"paused", "internal-error", "io-error", "guest-panicked", "watchdog"}
# Seconds that a vCPU thread stays on a cluster
STAY = 0.02
# qemu.qmp logs each byte and each of its states; this file logs what matters.
logging.getLogger("qemu.qmp").setLevel(logging.INFO)


class VmTest(HostTest):
    """A test that has VMs; used with "with", as hosts are:

    with self.host(pmus=2, mode=True, files=[WINLIKE, MOVER]) as host, \\
            self.vm(host, kernel=WINLIKE, append="seconds=2") as vm:
        vm.cont()
        vm.wait_for_console("PASS: ")
    """

    def vm(self, host, *options, name="vm", **kwargs):
        """A Vm, see that class. Its logs: NAME.out is the console, NAME.err QEMU's stderr."""
        return Vm(host, self.qemu, *options, name=name, log=self.log, **kwargs)

    def check(self, condition, message):
        """Fails with the message unless the condition is true."""
        if not condition:
            self.fail(message)

    def check_equal(self, got, wanted, what):
        """Fails with both values unless they are equal."""
        if got != wanted:
            self.fail(f"{what}: expected {wanted!r}, got {got!r}")

    def check_in(self, text, whole, what):
        """Fails with both texts unless WHOLE contains TEXT."""
        if text not in whole:
            self.fail(f"{what}: expected {text!r} in it, got {whole!r}")


class Vm:
    """QEMU, stopped before the guest's first instruction (-S). Its console is the serial port, both
    ways.

    cpu, vcpus, memory (MiB), kernel and append (for a direct boot): as QEMU's options; cpu=None and
    kernel=None leave the option out. affinity: the set of CPUs on which QEMU starts. wrapper: a
    command in front of QEMU's.
    """

    def __init__(self, host, qemu, *options, name, log, cpu=HYBRID, vcpus=2, memory=64,
                 kernel=None, append=None, affinity=None, wrapper=()):
        self.host, self.name, self.log = host, name, log
        self.console_log, self.error_log = host.logs / f"{name}.out", host.logs / f"{name}.err"
        self._stack = contextlib.ExitStack()
        self.qmp = self.process = None
        self.events = []
        self.cpus = []
        pinned = ["taskset", "-c", ",".join(map(str, sorted(affinity)))] if affinity else []
        direct = [] if kernel is None else ["-kernel", Path(kernel).name, "-append", append or ""]
        self.command = [*pinned, *wrapper, f"./{qemu.name}", "-no-user-config", "-nodefaults",
                        "-name", name, "-accel", "kvm", "-M", "virt,gic-version=host",
                        *(["-cpu", cpu] if cpu else []), "-smp", vcpus, "-m", memory,
                        "-display", "none", "-pidfile", f"{name}.pid",
                        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
                        "-chardev", f"socket,id=qmp,path={name}.qmp,server=on,wait=off",
                        "-mon", "chardev=qmp,mode=control",
                        "-action", "shutdown=pause,panic=pause", "-S", *direct, *options]

    def __enter__(self):
        with self._stack:
            self.log.info("%s: %s", self.name, " ".join(map(str, self.command)))
            self.process = self.host.start(self.name, *self.command)
            self._stack.callback(self._end)
            self._open_monitor()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _end(self):
        if self.process.poll() is None:
            if self.qmp:
                with contextlib.suppress(QMPError, OSError, TimeoutError):
                    self.qmp.cmd("quit")
            else:
                self.kill()
            with contextlib.suppress(AssertionError):
                poll("QEMU's end", lambda: self.process.poll() is not None)
        if self.qmp:
            # if the connection broke, other code has reported why
            with contextlib.suppress(Exception):
                self.qmp.close()

    def _open_monitor(self):
        # the socket exists once QEMU listens
        script = f"while [ ! -S {self.name}.qmp ]; do sleep 0.05; done"
        waiter = self.host.start(f"{self.name}-wait", "sh", "-c", script)
        poll("QEMU's monitor", lambda: waiter.poll() is not None or self.process.poll() is not None,
             self.explain)
        self.check_alive()
        path = self.host.forward(f"{self.host.folder}/{self.name}.qmp")
        qmp = QEMUMonitorProtocol(path)
        qmp.settimeout(scaled(WAIT))
        qmp.connect()
        self.qmp = qmp
        self.cpus = qmp.cmd("query-cpus-fast")

    def explain(self):
        """The ends of QEMU's stderr and of the console, for messages."""
        return (f"QEMU's stderr ends: {tail(self.error_log)!r}; the console: "
                f"{tail(self.console_log)!r}")

    # the life of a VM

    def cont(self):
        """Starts or resumes the VM; raises ExecuteError if QEMU refuses."""
        self.qmp.cmd("cont")
        return self

    def kill(self):
        """Kills QEMU by SIGKILL."""
        self.host.run("sh", "-c", f"kill -9 $(cat {self.name}.pid)")

    @property
    def status(self):
        """The run state."""
        return self.qmp.cmd("query-status")["status"]

    @property
    def stderr(self):
        """All that QEMU has said."""
        return self.error_log.read_text(errors="replace")

    @property
    def console(self):
        """All that the guest has said."""
        return self.console_log.read_text(errors="replace")

    def send(self, line, end="\n"):
        """Types a line at the console."""
        self.process.stdin.write(f"{line}{end}".encode())
        self.process.stdin.flush()

    def screenshot(self):
        """Keeps what the screen shows as NAME.ppm in the test's logs, to look into a failure."""
        with contextlib.suppress(QMPError, OSError, TimeoutError, AssertionError):
            self.qmp.cmd("screendump", filename=f"{self.host.folder}/{self.name}.ppm")
            self.host.fetch(f"{self.name}.ppm")

    def wait_for_console(self, text, after=0, timeout=WAIT):
        """Waits until the console has the text at or behind position AFTER; returns the position
        behind the text."""
        def find():
            self.check_alive()
            self.check_not_paused()
            position = self.console.find(text, after)
            return position + len(text) if position >= 0 else 0
        return poll(f"{text!r} on the console", find, self.explain, timeout=timeout)

    def wait_for_deltas(self, timeout=WAIT, after=None):
        """Waits until each vCPU of winlike has measured once from now on, or behind the position
        AFTER of the console."""
        after = len(self.console) if after is None else after
        for vcpu in range(len(self.cpus)):
            self.wait_for_console(f"delta vcpu={vcpu} ", after, timeout)

    def check_alive(self):
        """Fails if QEMU has ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"QEMU ended with status {self.process.returncode}. "
                                 f"{self.explain()}")

    def check_not_paused(self):
        """Fails if QEMU has paused the VM by itself: such a guest prints nothing more. Asks QEMU
        only after an event."""
        stopped = self.qmp and any(event["event"] == "STOP" for event in self.take_events())
        if stopped and (status := self.status) in BAD_STATES:
            raise AssertionError(f"expected a VM that goes on, got one that is {status!r}. "
                                 f"{self.explain()}")

    # the PMU, and where vCPUs run

    @property
    def backends(self):
        """pmu-backend of each vCPU."""
        return [self.qmp.cmd("qom-get", path=cpu["qom-path"], property="pmu-backend")
                for cpu in self.cpus]

    @property
    def threads(self):
        """The vCPUs' thread ids."""
        return [cpu["thread-id"] for cpu in self.cpus]

    def pin(self, *sets):
        """Pins the vCPU threads: a set of CPUs for each thread, or one for all."""
        sets = sets * len(self.threads) if len(sets) == 1 else sets
        script = "; ".join(f"taskset -pc {','.join(map(str, sorted(cpus)))} {thread}"
                           for thread, cpus in zip(self.threads, sets, strict=True))
        self.host.run("sh", "-ec", script)

    def take_events(self):
        """The events that came since the last call; all stay in self.events."""
        new = self.qmp.get_events()
        self.events += new
        for event in new:
            self.log.info("%s: event %s", self.name, event)
        return new

    def check_well(self, allowed=()):
        """Fails if the VM has stopped, reset, panicked or ended, unless the event is allowed."""
        self.check_alive()
        bad = [event for event in self.take_events()
               if event["event"] in BAD_EVENTS.difference(allowed)]
        if bad:
            told = "; ".join(f"{event['event']} {event.get('data', '')}".strip() for event in bad)
            raise AssertionError(f"expected a VM that goes on, got {told}. {self.explain()}")
        if (status := self.status) != "running":
            raise AssertionError(f"expected a VM that is running, got {status!r}. {self.explain()}")

    def move(self, moves, stay=STAY, check=lambda: None):
        """Moves each vCPU thread MOVES times from cluster to cluster of the host; meanwhile the VM
        has to be well and check() has to pass. MOVER has to be among the host's files."""
        groups = ":".join(",".join(map(str, cpus)) for cpus in self.host.clusters)
        name = f"{self.name}-mover"
        self.take_events()
        mover = self.host.start(name, "python3", MOVER.name, moves, stay, groups, *self.threads)
        # the stays go by the host's clock, which may be slower than this machine's
        seconds = scaled(WAIT + 10 * moves * stay)
        deadline = time.monotonic() + seconds
        while mover.poll() is None:
            self.check_well()
            check()
            if time.monotonic() > deadline:
                raise AssertionError(f"the threads were not moved {moves} times within {seconds:g} "
                                     f"s. {self.explain()}")
            time.sleep(0.2)
        self.check_well()
        if mover.returncode:
            errors = tail(self.host.logs / f"{name}.err")
            raise AssertionError(f"mover.py: expected exit status 0, got {mover.returncode}; "
                                 f"{errors}")
        self.log.info("%s: each vCPU was moved %d times", self.name, moves)
