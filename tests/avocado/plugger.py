# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes CPUs offline and back online, one after the other; runs on the test host until its stdin
ends.

    python3 plugger.py STAY CPU...

STAY is in seconds. Prints how often it took a CPU offline. At the end all CPUs are online.
"""
import itertools
import select
import sys


def set_online(cpu, on):
    with open(f"/sys/devices/system/cpu/cpu{cpu}/online", "w", encoding="ascii") as file:
        file.write(str(int(on)))


def main():
    stay = float(sys.argv[1])
    for count, cpu in enumerate(itertools.cycle(sys.argv[2:])):
        if select.select([sys.stdin], [], [], stay)[0]:
            break
        set_online(cpu, False)
        select.select([sys.stdin], [], [], stay)
        set_online(cpu, True)
    print(count)


if __name__ == "__main__":
    main()
