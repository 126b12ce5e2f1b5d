# SPDX-License-Identifier: GPL-2.0-or-later
"""How make demo and make bench run hosts, and what they leave: files, a picture, and their figures
on a page of docs/."""
import os
import re
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
RESULTS = TOP / "build" / "results"
# Around the figures on a page
MARKS = ("<!-- figures -->\n", "<!-- end of figures -->\n")


class HostError(Exception):
    """The host did not run what it was to, so nothing is known about that."""


def run_host(kernel, topology, *words):
    """What a command prints on an emulated host; WORDS are those of testbed/run."""
    command = [TOP / "testbed" / "run", "--kernel", kernel, "--topology", topology, *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        raise HostError(f"the {topology} host with the {kernel} kernel ended with exit status "
                        f"{done.returncode} and '{done.stdout.strip()[-200:]}'; see the messages "
                        "above and build/logs/")
    return done.stdout


def write_atomically(path, text):
    """A reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def draw(program, data, picture):
    """Has PROGRAM draw PICTURE, with what make venv has, and prints its name; returns whether it
    could, and leaves none if not."""
    picture.unlink(missing_ok=True)
    fresh = picture.with_name(f".{os.getpid()}.{picture.name}")
    venv = subprocess.run([TOP / "scripts" / "venv"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()
    # its cache of fonts does not belong into the home folder of who runs this
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
    """TEXT takes the place of the figures on docs/NAME."""
    page = TOP / "docs" / name
    start, end = MARKS
    content, count = re.subn(f"{start}.*{end}", lambda _: f"{start}{text}{end}",
                             page.read_text(encoding="utf-8"), flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} has {count} places for figures, between lines {start.strip()} "
                         f"and {end.strip()}; it needs one")
    write_atomically(page, content)
