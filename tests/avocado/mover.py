# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves threads from one set of CPUs to the next and back, each at its own time; runs on the test
host.

    python3 mover.py MOVES STAY CPUS[:CPUS]... THREAD...

MOVES is how often each thread is moved. STAY is in seconds, CPUS as 0,1. At the end each thread may
run on all the CPUs.
"""
import os
import sys
import time


def main():
    moves, stay = int(sys.argv[1]), float(sys.argv[2])
    groups = [{int(cpu) for cpu in group.split(",")} for group in sys.argv[3].split(":")]
    threads = [int(thread) for thread in sys.argv[4:]]
    for turn in range(moves):
        # one after the other, so that the threads are on different clusters most of the time
        for index, thread in enumerate(threads):
            os.sched_setaffinity(thread, groups[(turn + index) % len(groups)])
            time.sleep(stay / len(threads))
    for thread in threads:
        os.sched_setaffinity(thread, set().union(*groups))


if __name__ == "__main__":
    main()
