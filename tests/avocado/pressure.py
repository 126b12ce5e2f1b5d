# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes memory scarce, again and again; runs on the test host until its stdin ends.

    python3 pressure.py LEAST

Takes memory until LEAST MiB are available, keeps it for a moment, and gives it back. If the kernel
runs out of memory, it kills this program first. Prints how often memory was scarce.
"""
import mmap
import select
import sys
import time

STEP = 16 << 20
HOLD = 0.5


def available():
    """Available memory in MiB."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("MemAvailable:"))


def ended():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main():
    least = int(sys.argv[1])
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    rounds = 0
    while not ended():
        taken = []
        while available() > least and not ended():
            # The kernel allocates it at once. If Python filled it, that would take minutes.
            taken.append(mmap.mmap(-1, STEP, mmap.MAP_PRIVATE | mmap.MAP_POPULATE))
        rounds += available() <= least
        time.sleep(HOLD)
    print(rounds)


if __name__ == "__main__":
    main()
