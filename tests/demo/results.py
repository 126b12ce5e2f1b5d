# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs hosts for make demo and make bench, and writes their results: files, a picture, and the
figures on a page of docs/."""
import os
import re
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
RESULTS = TOP / "build" / "results"
# Around the figures on a page
MARKS = ("<!-- figures -->\n", "<!-- end of figures -->\n")


class HostError(Exception):
    """The host did not run its command, so there is no result."""


def run_host(kernel, topology, *words):
    """Runs testbed/run with WORDS; returns what the command on the emulated host printed."""
    command = [TOP / "testbed" / "run", "--kernel", kernel, "--topology", topology, *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        raise HostError(f"the {topology} host with the {kernel} kernel ended with exit status "
                        f"{done.returncode} and '{done.stdout.strip()[-200:]}'; see the messages "
                        "above and build/logs/")
    return done.stdout


def write_atomically(path, text):
    """Writes a file; a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def draw(program, data, picture):
    """Makes PROGRAM draw PICTURE, with the packages of build/venv, and prints its name; returns
    whether that worked. If not, there is no picture."""
    picture.unlink(missing_ok=True)
    fresh = picture.with_name(f".{os.getpid()}.{picture.name}")
    venv = subprocess.run([TOP / "scripts" / "venv"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()
    # keeps matplotlib's cache of fonts out of the user's home folder
    environment = os.environ | {"MPLCONFIGDIR": f"{venv}/matplotlib"}
    try:
        if subprocess.run([f"{venv}/bin/python3", program, data, fresh], env=environment,
                          check=False).returncode:
            return False
        fresh.replace(picture)
        print(picture.relative_to(TOP))
        return True
    finally:
        fresh.unlink(missing_ok=True)


def put_on_page(name, text):
    """Replaces the figures on docs/NAME by TEXT."""
    page = TOP / "docs" / name
    start, end = MARKS
    content, count = re.subn(f"{start}.*{end}", lambda _: f"{start}{text}{end}",
                             page.read_text(encoding="utf-8"), flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} has {count} places for figures, between lines {start.strip()} "
                         f"and {end.strip()}; it needs one")
    write_atomically(page, content)
