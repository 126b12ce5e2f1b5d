# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts of rows, kept below the cache by the contents of what the rows depend on.

A verdict has the digest of each thing that its row depended on: those files of the project that it
opened, the list of each folder that it opened, and what tests/table says of things below build/. It
holds as long as all digests are the same.
"""
import contextlib
import datetime
import fnmatch
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from table import TOP, UsageError

CACHE = Path(os.environ.get("VPMU_CACHE")
             or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vpmu")
VERDICTS = CACHE / "verdicts"
# Verdicts that are kept for each row, so that they are still there after a change of branches.
KEPT = 10
ABSENT = "absent"
# Words for what a row can depend on: all of the project but its pages, the same as committed, which
# commit is checked out, the names of all files, the packages of this machine, and the row itself.
EVERYTHING, COMMIT, HISTORY, NAMES = "*", ".git", "(history)", "(names)"
MACHINE, ROW = "(packages)", "(row)"
# Files of .git that do not tell the commit, and words for them: git reads the index to list files,
# and the others always.
WITHOUT_COMMIT = {"index": [NAMES], "HEAD": [], "config": [], "info/exclude": []}
TREES = ("build/linux", "build/qemu")
# What no file's time tells a change of
UNTIMED = (COMMIT, HISTORY, NAMES, MACHINE)
PAGE = ".md"
ARTIFACTS = "build/artifacts/"
# Environment variables that change what a row does.
KNOBS = ("SEED", "COUNT", "OPS", "STORM_SECONDS", "VPMU_IMAGE", "VPMU_TREE", "VPMU_QEMU",
         "LINUX_TREE", "QEMU_TREE", "KERNEL", "TOOL_FOLDER")
BYTECODE = re.compile(r"(.*/|)__pycache__/(\w+)\.[\w-]+\.pyc.*")


def run(*command, cwd=TOP, **environment):
    """Output of a command, which has to succeed."""
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"} | environment
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=False)
    if result.returncode:
        raise UsageError(f"'{' '.join(command)}' failed in {cwd}, and verdicts need it: "
                         f"{result.stderr.decode().strip()}")
    return result.stdout


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@functools.cache
def digest_file(path, *_):
    """Digest of a file, kept as long as its inode, size and times are the same."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_path(path):
    """Digest of the file that is there now."""
    status = path.stat()
    return digest_file(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def describe_value(value):
    """An environment variable's value, with the digest of the file that it names, if so."""
    path = TOP / value
    return [value, digest_path(path)] if value and path.is_file() else value


class Contents:
    """The project as it is now, and WHEN that is: a digest for each word. Each is computed once;
    after a change make a new object."""

    def __init__(self):
        self.when = time.time_ns()
        listed = run("git", "ls-files", "-co", "--exclude-standard", "-z").decode().split("\0")
        self.files = {path for path in listed if path and (TOP / path).is_file()}
        # who copies a folder reads its links, and opens no file that tells where they lead
        self._links = {path: os.readlink(TOP / path) for path in self.files
                       if (TOP / path).is_symlink()}
        self._digests = {}

    def digest(self, word):
        """Digest of a word: a file, FOLDER/ for its names and links, a pattern, or a word above."""
        if word not in self._digests:
            self._digests[word] = self._find(word)
        return self._digests[word]

    def _find(self, word):
        if word == COMMIT:
            return sha256(b"".join(line for line in run("git", "ls-tree", "-r", "HEAD").splitlines()
                                   if not line.endswith(PAGE.encode())))
        if word == HISTORY:
            return run("git", "rev-parse", "HEAD").decode().strip()
        if word == NAMES:
            return sha256("\0".join(sorted(self.files)).encode())
        if word == MACHINE:
            return sha256(run("dpkg-query", "-W", "-f", "${Package} ${Version}\n"))
        if word.endswith("/"):
            return sha256("\0".join(sorted(self._names(word))).encode())
        if "*" in word:
            return sha256("".join(f"{path} {self.digest(path)}\n"
                                  for path in sorted(self.match(word))).encode())
        path = TOP / word
        if (path / ".git").exists():
            return digest_tree(path)
        if not path.is_file():
            return ABSENT
        return digest_path(path)

    def match(self, pattern):
        """Files that match the pattern, without pages: nothing is built from them."""
        return [path for path in fnmatch.filter(self.files, pattern) if not path.endswith(PAGE)]

    def find(self, word):
        """Files that the word stands for."""
        return self.match(word) if "*" in word else [word] if word in self.files else []

    def has_folder(self, folder):
        """Whether the folder is one of the project's, or below build/artifacts."""
        return (folder == "./" or folder.startswith(ARTIFACTS)
                or any(path.startswith(folder) for path in self.files))

    def _names(self, folder):
        if folder.startswith(ARTIFACTS):
            return os.listdir(TOP / folder) if (TOP / folder).is_dir() else [ABSENT]
        folder = "" if folder == "./" else folder
        inside = [path for path in self.files if path.startswith(folder)]
        names = {path.removeprefix(folder).partition("/")[0] for path in inside}
        return names | {f"{name} -> {self._links[folder + name]}" for name in names
                        if folder + name in self._links}


def digest_tree(tree):
    """Git's hash of a work tree as it is, committed or not; does not change its repository."""
    def locate(name):
        return tree / run("git", "rev-parse", "--git-path", name, cwd=tree).decode().strip()

    with tempfile.TemporaryDirectory() as folder:
        environment = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_OBJECT_DIRECTORY": folder,
                       "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(locate("objects"))}
        with contextlib.suppress(FileNotFoundError):
            # with its time: git compares the contents of files that are not older than the index
            shutil.copy2(locate("index"), environment["GIT_INDEX_FILE"])
        run("git", "add", "--all", cwd=tree, **environment)
        return run("git", "write-tree", cwd=tree, **environment).decode().strip()


class Ledger:
    """Finds and keeps verdicts."""

    def __init__(self, table, allowed, folder=VERDICTS):
        self._made_of, self._allowed, self._folder = table.made_of, allowed, folder
        self.contents, self._trees = Contents(), {}

    def look_again(self):
        """Reads again what may have changed."""
        self.contents = Contents()

    def start(self):
        """Notes, before rows run, the digests of the trees, which take seconds."""
        self._trees = {word: self.contents.digest(word) for word in TREES}

    @staticmethod
    def note():
        """The contents that a row starts with."""
        before = Contents()
        for word in UNTIMED:
            before.digest(word)
        return before

    # What a row depends on

    def _digest(self, row, word):
        if word != ROW:
            return self.contents.digest(word)
        skips = [pattern for name, pattern in self._allowed if name == row.name]
        environment = {name: describe_value(os.environ[name])
                       for name in (*KNOBS, *(word.split("=")[0] for word in row.defaults))
                       if name in os.environ}
        judge = self.contents.digest("tests/runner/judge.py")
        return sha256(json.dumps([row.name, row.command, row.defaults, row.needs, skips,
                                  environment, judge], sort_keys=True).encode())

    def _words(self, row, tracer):
        """Words for what the row depended on, from what it opened."""
        words = {ROW, MACHINE, *([HISTORY] if row.history else [])}
        for target in row.needs:
            words.update(self._made_of[target])
        if tracer is None:
            words.update((EVERYTHING, *TREES))
            return words
        for path in tracer.opened - tracer.made:
            words.update(self._words_of(path))
        for path in tracer.listed:
            words.update(self._words_of_folder(path))
        return words

    def _words_of(self, path):
        """Words for a path that was opened."""
        if bytecode := BYTECODE.fullmatch(path):
            path = f"{bytecode[1]}{bytecode[2]}.py"
        first, _, rest = path.partition("/")
        if first == ".git":
            return (WITHOUT_COMMIT[rest] if rest in WITHOUT_COMMIT and self._on_branch()
                    else [COMMIT])
        if first == "build":
            return self._words_below_build(path, rest)
        if path in self.contents.files or (not os.path.lexists(TOP / path)
                                           and not first.startswith(".")):
            return [path]
        return []

    @staticmethod
    def _on_branch():
        """Whether a branch is checked out; otherwise HEAD has the commit."""
        return (TOP / ".git/HEAD").read_text(encoding="utf-8").startswith("ref:")

    def _words_of_folder(self, path):
        folder = os.path.join(path, "")
        if folder.startswith((".git/", "build/")) and not folder.startswith(ARTIFACTS):
            return self._words_of(path)
        return [folder] if self.contents.has_folder(folder) else []

    def _words_below_build(self, path, rest):
        if not rest or (TOP / path).is_dir() and f"{path}/".startswith(ARTIFACTS):
            return []
        if path.startswith(ARTIFACTS):
            return [path]
        place = f"build/{rest.split('/')[0]}"
        if path == place and not os.path.lexists(TOP / path):
            return [path]
        for pattern, words in self._made_of.items():
            if fnmatch.fnmatchcase(place, pattern):
                return words
        # tests/table does not say what this is made of
        return [EVERYTHING]

    # Verdicts

    def _read(self, row):
        """All verdicts of a row, the newest first."""
        found = []
        for path in (self._folder / row.name).glob("*.json"):
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads(path.read_text(encoding="utf-8")) | {"key": path.stem})
        return sorted(found, key=lambda verdict: verdict["when"], reverse=True)

    def _holds(self, row, verdict):
        """Whether all digests are the same. An artifact that `make` builds for the row may be
        absent: its sources count, too."""
        return all(value == now or (now == ABSENT and row.needs and word.startswith(ARTIFACTS))
                   for word, value in verdict["inputs"].items()
                   for now in [self._digest(row, word)])

    def find(self, row):
        """A verdict that the row passed with today's contents; None if there is none."""
        return next((verdict for verdict in self._read(row) if verdict["verdict"] == "passed"
                     and self._holds(row, verdict)), None)

    def last_seconds(self, row):
        """Seconds that the row took when it last passed, or those in the table."""
        return next((verdict["seconds"] for verdict in self._read(row)
                     if verdict["verdict"] == "passed"), row.seconds)

    def keep(self, row, job, judge, tracer, before):
        """Keeps the verdict of a run; returns why there is none, if so. BEFORE: the contents that
        it started with."""
        self.look_again()
        inputs = {word: self._digest(row, word) for word in sorted(self._words(row, tracer))}
        made = tracer.made | tracer.moved if tracer else ()
        if changed := [word for word in inputs if self._changed(word, made, before)]:
            return f"{changed[0]} changed while it ran"
        failed = bool(judge.failures)
        while failed and (verdict := self.find(row)):
            (self._folder / row.name / f"{verdict['key']}.json").unlink()
        key = "failed" if failed else sha256(json.dumps(inputs, sort_keys=True).encode())[:16]
        now = datetime.datetime.now(datetime.timezone.utc)
        verdict = {"row": row.name, "verdict": "failed" if failed else "passed",
                   "counts": dict(judge.counts), "seconds": round(job.seconds, 1),
                   "when": now.isoformat(timespec="seconds"), "inputs": inputs}
        folder = self._folder / row.name
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{os.getpid()}.new"
        fresh.write_text(json.dumps(verdict, indent=1), encoding="utf-8")
        fresh.replace(folder / f"{key}.json")
        if not failed:
            (folder / "failed.json").unlink(missing_ok=True)
        for old in sorted(folder.glob("*.json"), key=os.path.getmtime)[:-KEPT]:
            old.unlink()
        return ""

    def _changed(self, word, made, before):
        """Whether the thing changed while the row ran. An artifact that the row itself MADE may:
        a row builds what it lacks."""
        if word in self._trees:
            return self.contents.digest(word) != self._trees[word]
        if word in UNTIMED or word.endswith("/"):
            return self.contents.digest(word) != before.digest(word)
        paths = self.contents.find(word)
        if set(before.find(word)) - set(paths):
            return True
        if self._is_artifact(word) and word not in made:
            paths = [word]
        return any((TOP / path).stat().st_ctime_ns >= before.when for path in paths)

    @staticmethod
    def _is_artifact(word):
        return word.startswith(ARTIFACTS) and (TOP / word).is_file()

    def describe(self, row):
        """A line of the ledger."""
        verdicts = self._read(row)
        if not verdicts:
            return f"{row.name:34} -"
        found = self.find(row)
        failed = next((verdict for verdict in verdicts if verdict["verdict"] == "failed"), None)
        shown = found or failed or verdicts[0]
        word = "passed" if found else "FAILED" if failed else "changed"
        return f"{row.name:34} {word:8} {shown['seconds']:8.1f}  {shown['when']:25}  {shown['key']}"
