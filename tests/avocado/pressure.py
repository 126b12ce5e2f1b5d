# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes memory scarce, again and again; runs on the test host until its stdin ends.

    python3 pressure.py LEAST

Takes memory until LEAST MiB are available, keeps it for a moment, and gives it back. If the kernel
runs out of memory, it kills this program first. Prints how often memory was scarce.
"""
import select
import sys
import time

STEP = 16 << 20
HOLD = 0.5


def available():
    """Available memory in MiB."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("MemAvailable:"))


def main():
    least = int(sys.argv[1])
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    rounds = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        taken = []
        while available() > least:
            # written to, so that the kernel really allocates it
            taken.append(bytearray(b"\xff") * STEP)
        time.sleep(HOLD)
        rounds += 1
    print(rounds)


if __name__ == "__main__":
    main()
