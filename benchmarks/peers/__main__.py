"""Measures Mailroom beside its peers, and beside the limit, all in one run.

    python -m benchmarks.peers                         # everything, three rounds: `make bench`
    python -m benchmarks.peers --only drain,submit     # the other parts keep their figures
    python -m benchmarks.peers --quick                 # a tenth of the jobs, one round
    python -m benchmarks.peers --peers "BullMQ,Huey"

Installs the peers first, into `.bench/`. Writes `benchmarks/results.json`, from which
`python -m tools.performance` makes the tables and the chart of docs/performance.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.peers import drain, durations, growth, install, memory, submit, wait
from benchmarks.peers.arena import BULLMQ, PEERS
from benchmarks.peers.goals import report
from benchmarks.peers.plan import Plan
from benchmarks.peers.results import PATH, Results, machine

PARTS = {part.PART: part for part in (drain, submit, wait, memory, durations, growth)}
QUICK = install.FOLDER / "quick.json"


def main() -> None:
    arguments = parse_arguments()
    began = time.monotonic()
    if arguments.peers:
        install.install()
    results = Results(arguments.results)
    known = results.facts.get("versions", {})
    results.facts |= {"machine": machine(), "versions": known | versions(arguments.peers)}
    for part in arguments.only:
        results.begin(part)
    plan = Plan(arguments.peers, arguments.share)
    for number in range(arguments.rounds):
        for name in arguments.only:
            print(f"{name}, round {number + 1} of {arguments.rounds}", flush=True)
            PARTS[name].measure(plan, results)
            results.save()
    report(results)
    print(f"took {(time.monotonic() - began) / 60:.1f} minutes")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=_parts, default=[*PARTS], help="parts, comma-separated")
    parser.add_argument("--peers", type=_peers, default=PEERS, help="names, comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the jobs and times")
    parser.add_argument("--quick", action="store_true", help="--rounds 1 --share 0.1")
    parser.add_argument("--results", type=Path, help=f"{PATH.name}; of less than all {QUICK.name}")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.share = 1, 0.1
    if arguments.results is None:
        arguments.results = PATH if arguments.share == 1.0 else QUICK
    if not install.has_node():
        print("BullMQ is left out: it needs node and npm")
        arguments.peers = tuple(peer for peer in arguments.peers if peer is not BULLMQ)
    return arguments


def versions(peers: tuple) -> dict[str, str]:
    found = install.versions() if peers else {}
    names = ("bullmq", "node", "dramatiq", "huey", "taskiq", "taskiq-redis", "celery", "rq")
    return {"server": install.server_version()} | {
        name: found[name] for name in names if name in found
    }


def _parts(text: str) -> list[str]:
    asked = [part.strip() for part in text.split(",")]
    if unknown := set(asked) - PARTS.keys():
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: not among {', '.join(PARTS)}"
        )
    return asked


def _peers(text: str) -> tuple:
    by_name = {peer.name.lower(): peer for peer in PEERS}
    asked = [name.strip().lower() for name in text.split(",") if name.strip()]
    if unknown := set(asked) - set(by_name):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: not among {', '.join(by_name)}"
        )
    return tuple(by_name[name] for name in asked)


if __name__ == "__main__":
    main()
