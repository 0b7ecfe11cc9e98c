"""`python -m bench [PART]...`: all parts by default, named below. Needs root."""

from __future__ import annotations

import os
import sys

from bench import everyday, latency, peers, replay_speed, rules, steady, storms, synth, tools

BENCHMARKS = {"peers": peers.main, "steady": steady.main, "replay": replay_speed.main, "latency": latency.main,
              "everyday": everyday.main, "storms": storms.main, "rules": rules.main, "synth": synth.main}  # fmt: skip


def run(names: list[str]) -> int:
    """Run the named benchmarks and return an exit code."""
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("benchmarks record the kernel: run them as root", file=sys.stderr)
        return 77
    print(tools.machine())
    for name in names or BENCHMARKS:
        print(f"\n## {name}", flush=True)
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
