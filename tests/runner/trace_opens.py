# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds by strace which files below the project a program and its children open, and which folders
they list. With seccomp strace stops the program at a few calls only."""
import contextlib
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

# Until seccomp has stopped a new thread once, strace stops it at every call. The threads of an
# emulator open nothing, so the last of these calls is here: the C library begins each thread by it.
CALLS = "open,openat,openat2,creat,rename,renameat,renameat2,execve,getdents64,set_robust_list"
OPTIONS = ("-f", "--seccomp-bpf", "-qqq", "-y", "-e", "signal=none", "-e", f"trace={CALLS}")
# PID CALL(FOLDER</path>, "path", FLAGS...) = 3</path>; the path that is returned is used if there
# is one, as it is resolved
CALL = re.compile(r'\d+ +(\w+)\((?:[\w-]+<([^>]*)>, )?"((?:[^"\\]|\\.)*)"(.*)')
# programs write a file under another name, then give it this one
RENAMED = re.compile(r'\d+ +rename\w*\(.*, (?:[\w-]+<([^>]*)>, )?"((?:[^"\\]|\\.)*)"(?:, \w+)?\)'
                     r" += 0")
LISTED = re.compile(r"\d+ +getdents64\(\d+<([^>]*)>")
RETURNED = re.compile(r"\) += \d+<([^>]*)>")
WRITES = re.compile(r"O_WRONLY|O_TRUNC|O_EXCL")
UNFINISHED, RESUMED = " <unfinished ...>", re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")


def why_not():
    """Why this machine cannot trace, or an empty text."""
    try:
        result = subprocess.run(["strace", *OPTIONS, "-o", os.devnull, "true"],
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                check=False)
    except FileNotFoundError:
        return "strace not found; run 'make deps'"
    return f"strace does not work here: {result.stderr.strip()}" if result.returncode else ""


def join(folder, path):
    """The path that a call names, relative to FOLDER."""
    return os.path.normpath(os.path.join(folder or "/", path))


class Tracer:
    """Traces one program. opened: paths that it opened or tried to open. made: paths that it wrote
    itself. moved: those that it renamed a file to. listed: folders that it listed."""

    def __init__(self, top):
        self._top = str(top)
        self._pending, self._seen = {}, set()
        self.opened, self.made, self.moved, self.listed = set(), set(), set(), set()

    @contextlib.contextmanager
    def trace(self, command):
        """Context manager: the command to run in place of COMMAND."""
        with tempfile.TemporaryDirectory() as folder:
            pipe = Path(folder) / "trace"
            os.mkfifo(pipe)
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            # the reader waits as long as this end is open
            writer = os.open(pipe, os.O_WRONLY)
            os.set_blocking(reader, True)
            thread = threading.Thread(target=self._read, args=(reader,))
            thread.start()
            try:
                yield ["strace", *OPTIONS, "-o", pipe, *command]
            finally:
                os.close(writer)
                thread.join()

    def _read(self, reader):
        with open(reader, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self.take(line.rstrip("\n"))

    def take(self, line):
        """Takes one line of strace's output."""
        if line.endswith(UNFINISHED):
            self._pending[line.split(" ", 1)[0]] = line.removesuffix(UNFINISHED)
            return
        if resumed := RESUMED.match(line):
            line = self._pending.pop(resumed[1], "") + resumed[2]
        # a compiler opens the same headers for each object
        text = line.partition(" ")[2]
        if self._top not in line or text in self._seen:
            return
        if listed := LISTED.match(line):
            self._add(self.listed, listed[1])
        elif renamed := RENAMED.match(line):
            self._add(self.moved, join(*renamed.groups()))
        elif call := CALL.match(line):
            self._take_call(*call.groups())
            self._seen.add(text)

    def _take_call(self, name, folder, path, rest):
        returned = RETURNED.search(rest)
        path = returned[1] if returned else join(folder, path)
        writes = name == "creat" or (name != "execve" and WRITES.search(rest))
        self._add(self.made if writes else self.opened, path)

    def _add(self, paths, path):
        if path == self._top or path.startswith(f"{self._top}/"):
            path = os.path.relpath(path, self._top)
            if paths is not self.opened or path not in self.made:
                paths.add(path)
