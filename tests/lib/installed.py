# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian as its installer leaves it, on a disk that testbed/board makes; and functions for tests
of packages."""
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import host
import tap

APT = "export DEBIAN_FRONTEND=noninteractive; apt-get -q -y --allow-downgrades"
# libvirt's list of Arm features
FEATURES = "/usr/share/libvirt/cpu_map/arm_features.xml"
# The list's end, with a name that a newer libvirt may bring
OTHERS = "  <feature name='of-others'/>\n</cpus>"
# Prints those packages of the board's folder newer of which another version is installed
INSTALLED = ("for deb in newer/*.deb; do name=${deb##*/}; "
             "! dpkg -s ${name%%_*} >/dev/null 2>&1 || echo ./$deb; done")


def find_traces(*folders):
    """Command that finds files of ours, except in logs and in these folders of the distribution."""
    left_out = " -o ".join(f"-path {folder}" for folder in ("/root", "/srv", "/var/log", *folders))
    return rf"find / -xdev \( {left_out} \) -prune -o -name '*pmu-hybrid*' -print"


def expect(pattern, text):
    """Fails unless a line of the text matches the pattern; returns the text."""
    if not re.search(pattern, text, re.M):
        raise AssertionError(f"expected a line with {pattern!r}, got:\n{text}")
    return text


def run(*command, **kwargs):
    """Runs a command on this machine, which has to succeed; returns its output."""
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False, **kwargs)
    if result.returncode:
        raise AssertionError(f"{shlex.join(map(str, command))} ended with status "
                             f"{result.returncode}:\n{result.stdout}")
    return result.stdout


def make_newer(debs, folder, change=lambda tree: None):
    """Packs packages anew in a higher version, into FOLDER. CHANGE gets the folder with the files
    of each."""
    folder.mkdir(exist_ok=True)
    tree = folder.with_suffix(".tree")
    for deb in debs:
        run("dpkg-deb", "--raw-extract", deb, tree)
        control = tree / "DEBIAN/control"
        version = run("dpkg-deb", "--field", deb, "Version").strip()
        control.write_text(control.read_text().replace(version, f"{version}+vpmu1"))
        change(tree)
        run("dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", tree, folder)
        shutil.rmtree(tree)


def add_feature(tree):
    """Adds a name to libvirt's list, if the package has it."""
    if not (features := tree / FEATURES[1:]).exists():
        return
    before = hashlib.md5(features.read_bytes()).hexdigest()
    features.write_text(features.read_text().replace("</cpus>", OTHERS))
    after = hashlib.md5(features.read_bytes()).hexdigest()
    sums = tree / "DEBIAN/md5sums"
    sums.write_text(sums.read_text().replace(before, after))


def make_newer_libvirt(disk, folder):
    """Makes libvirt's packages on a board's DISK in a higher version, whose list has a new name."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as archive:
        run("debugfs", "-R", f"rdump /srv/archive {archive}", disk)
        make_newer(Path(archive).glob("archive/libvirt*.deb"), folder, add_feature)
    if not list(folder.glob("libvirt-common_*.deb")):
        raise AssertionError(f"no libvirt-common among {sorted(folder.iterdir())}")


class Board:
    """The Debian on its disk; it can be booted more than once."""

    def __init__(self, disk, files):
        self._disk, self._files, self._machine = disk, files, None

    def boot(self, kernel=None, initrd=None):
        """Boots the stock kernel, or the image KERNEL with the file INITRD."""
        self._machine = host.EmulatedHost("stock", "biglittle", append=["systemd.show_status=0"],
                                          files=self._files, system=self._disk, image=kernel,
                                          initrd=initrd)
        self._machine.start(600)

    def run(self, script, status=0, timeout=1800):
        """Runs a script on the board, which has to end with STATUS; returns what it prints."""
        command = [*map(str, self._machine.connection.command("-T")),
                   f"sh -c {shlex.quote('exec 2>&1; cd /root; ' + script)}"]
        with tempfile.TemporaryFile("w+") as output:
            found = self._machine.run(command, time.monotonic() + host.scale_timeout(timeout),
                                      "a step", stdin=subprocess.DEVNULL, stdout=output)
            output.seek(0)
            text = output.read()
        if found != status:
            raise AssertionError(f"expected status {status}, got {found}:\n{script}\n{text}")
        return text

    def halt(self):
        """Powers the board off, as a user does."""
        # once this session is over, as a shutdown begins by ending sessions
        self.run("sync; session=$PPID; (while kill -0 $session; do sleep 0.1; done; systemctl "
                 "poweroff) </dev/null >/dev/null 2>&1 &")
        try:
            self._machine.process.wait(host.scale_timeout(600))
        except subprocess.TimeoutExpired as error:
            raise AssertionError("the board did not power off") from error

    def read(self, path, target):
        """Copies a file on the board's disk to TARGET, while the board is off."""
        run("debugfs", "-R", f"dump {path} {target}", self._disk)

    def stop(self):
        """Ends the board at once."""
        if self._machine:
            self._machine.stop()


class Story:
    """Claims about a board, each a method with the claim as its docstring."""

    def __init__(self, folder):
        self._folder, self._board = folder, None

    @classmethod
    def tell(cls, chapters):
        """Tests these methods in order, up to the first that fails; returns the exit status."""
        if not shutil.which("debugfs"):
            sys.exit(f"{Path(sys.argv[0]).name}: error: debugfs not found; run 'make deps' as root")
        with tempfile.TemporaryDirectory(dir=host.TOP / "build") as folder:
            story = cls(Path(folder))
            host.handle_signals()
            try:
                return tap.run((tap.Test(chapter.__doc__, chapter)
                                for chapter in (getattr(story, name) for name in chapters)),
                               in_order=True)
            finally:
                story.stop()

    def stop(self):
        """Ends the board, if it runs."""
        if self._board:
            self._board.stop()
