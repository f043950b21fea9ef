#!/usr/bin/env python3
"""Runs the simulator once for each mutant of mutants.toml and prints what found it.

    run.py PROGRAM [--jobs N] [--times N] [--only NAME ...] [--holes]

PROGRAM is raftd-sim-mutants. Seeds are tried from 1 on, --times (5) as many as a mutant is recorded
to need. A mutant that none of them finds fails the run, and so does the simulator without any mutant
if one of its seeds fails: then a detection would mean nothing. With --holes those mutants run that
the simulator is known not to see: one that it finds is a hole no more, and the table must say so."""

import argparse
import concurrent.futures
import dataclasses
import pathlib
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import build

CANARY_SEEDS = 60
HOLE_SEEDS = 40
MEMORY_BYTES = 1 << 30  # A bug may ask for all there is.
ASSERTION = re.compile(r"raftd: (?:assertion failed|panic) at \S*?([\w]+/[\w]+\.\w+:\d+): (.*)")
SEED = re.compile(r"^FAIL seed=(\d+)$", re.MULTILINE)


@dataclasses.dataclass
class Outcome:
    name: str
    seed: int = 0  # The first that failed; 0: none did.
    found_by: str = ""
    seconds: float = 0.0


def found_by(text, code):
    """What the program said last before it gave up, in one line."""
    assertion = ASSERTION.search(text)
    if assertion:
        return f"assertion {assertion.group(1)}: {assertion.group(2)}"
    lines = text.strip().splitlines()
    if lines and not SEED.match(lines[0]):
        return lines[0]
    return {2: "a run that does not end", 3: "a wild pointer"}.get(code, f"exit status {code}")


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def run(program, name, profile, seeds):
    switch = ["--mutant", name] if name else []
    switch += ["--profile", profile]
    begin = time.monotonic()
    done = subprocess.run([program, "run", *switch, "--seeds", f"1..{seeds}"], text=True,
                          errors="replace", capture_output=True, preexec_fn=limit_memory)
    outcome = Outcome(name or f"none ({profile})", seconds=time.monotonic() - begin)
    if done.returncode == 0:
        return outcome
    seed = SEED.search(done.stderr)
    if seed is None:
        sys.exit(f"{program}: {done.stderr.strip() or done.returncode}")
    outcome.seed = int(seed.group(1))
    outcome.found_by = found_by(done.stderr, done.returncode)
    return outcome


def show(outcome, budget):
    seed = str(outcome.seed) if outcome.seed else "-"
    print(f"{outcome.name:34} {seed:>5} {budget:>6} {outcome.seconds:6.1f} s  "
          f"{outcome.found_by[:120]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--holes", action="store_true")
    options = parser.parse_args()

    mutants = [m for m in build.load()["mutant"] if ("hole" in m) == options.holes]
    if options.only:
        mutants = [m for m in build.load()["mutant"] if m["name"] in options.only]
    budgets = {m["name"]: m.get("seeds", HOLE_SEEDS) for m in mutants}
    begin = time.monotonic()
    wrong = []
    print(f"{'mutant':34} {'seed':>5} {'budget':>6} {'time':>8}  found by")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tasks = {}
        profiles = sorted({mutant.get("profile", "swarm") for mutant in mutants})
        for profile in [] if options.only else profiles:
            tasks[pool.submit(run, options.program, None, profile, CANARY_SEEDS)] = None
        # The long ones first, so that none is left alone at the end.
        for mutant in sorted(mutants, key=lambda m: -budgets[m["name"]]):
            name = mutant["name"]
            tasks[pool.submit(run, options.program, name, mutant.get("profile", "swarm"),
                              budgets[name] * options.times)] = mutant
        for task in concurrent.futures.as_completed(tasks):
            mutant, outcome = tasks[task], task.result()
            if mutant is None:
                show(outcome, CANARY_SEEDS)
                if outcome.seed:
                    wrong.append(f"{outcome.name}: seed {outcome.seed} fails without a mutant: "
                                 f"{outcome.found_by}")
                continue
            show(outcome, budgets[mutant["name"]])
            if "hole" in mutant and outcome.seed:
                wrong.append(f"{outcome.name} is found: it is no hole, and needs seeds")
            elif "hole" not in mutant and not outcome.seed:
                wrong.append(f"{outcome.name} survives {budgets[mutant['name']] * options.times} seeds")
    print(f"{len(mutants)} mutants in {time.monotonic() - begin:.0f} s")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
