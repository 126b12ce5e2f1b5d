# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves threads from one set of CPUs to the next and back, each at its own time; runs on the test host.

    python3 mover.py SECONDS STAY CPUS[:CPUS]... THREAD...

STAY is in seconds, CPUS as 0,1. Prints how often each thread was moved. At the end each may run on all the CPUs.
"""
import itertools
import os
import sys
import time


def main():
    seconds, stay = map(float, sys.argv[1:3])
    groups = [{int(cpu) for cpu in group.split(",")} for group in sys.argv[3].split(":")]
    threads = [int(thread) for thread in sys.argv[4:]]
    moves = dict.fromkeys(threads, 0)
    end = time.monotonic() + seconds
    # one after the other, so that the threads are on different clusters at most times
    for thread, place in zip(itertools.cycle(threads), itertools.count()):
        if time.monotonic() >= end:
            break
        turn, index = divmod(place, len(threads))
        os.sched_setaffinity(thread, groups[(turn + index) % len(groups)])
        moves[thread] += 1
        time.sleep(stay / len(threads))
    for thread in threads:
        os.sched_setaffinity(thread, set().union(*groups))
    print(*moves.values())


if __name__ == "__main__":
    main()
