"""Run as many pairs as asked for, and print each mismatch; exit with 1 if there is one."""

from __future__ import annotations

import argparse
import sys
import time

from tests.differential.compare import batch, mismatches


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200_000, help="(rule, stream) pairs, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", type=int, default=200, help="rules of a batch")
    parser.add_argument("--streams", type=int, default=100, help="streams of a batch")
    given = parser.parse_args()
    done = wrong = 0
    begin = time.monotonic()
    for seed in range(given.seed, sys.maxsize):
        if done >= given.pairs:
            break
        found = batch(seed, given.rules, given.streams, public=seed == given.seed)
        for mismatch in mismatches(found):
            wrong += 1
            if wrong <= 20:
                print(f"seed {seed}: {mismatch}\n", flush=True)
        done += found.pairs
        print(f"{done:,} pairs, {wrong:,} mismatches, {time.monotonic() - begin:.0f} s", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
