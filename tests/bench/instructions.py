#!/usr/bin/python3
"""Instructions and allocations of a request, room by room.

Runs hot_path under callgrind and counts. What a library does is the room's that called it; the
program's own part (disk, network, clients) is not in the sums. The same compiler and libraries give
the same counts on every machine: instructions.txt beside this file has those of Debian 12.

    instructions.py build/tests/bench/hot_path            prints the table
    instructions.py build/tests/bench/hot_path --write    and puts it into instructions.txt
    instructions.py build/tests/bench/hot_path --check    ends with 1 if a count has grown by 5 %
    instructions.py build/tests/bench/hot_path --sites    who allocates, and the costliest functions
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

RECORDED = pathlib.Path(__file__).with_name("instructions.txt")
ROOMS = ["http", "etcd", "api", "node", "raft", "storage", "kv", "machine", "wire", "base"]
CELLS = ["put@64 leader", "put@64 follower", "get@64 leader", "put@1 leader", "get@1 leader",
         "v3put@64 leader"]
REQUESTS = 1024
CALLERS = 24  # So many of them name a function: its room is among them.
ALLOCATING = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign"}
MEMORY = ALLOCATING | {
    "free", "_int_malloc", "_int_free", "_int_realloc", "malloc_consolidate", "unlink_chunk.isra.0",
    "unlink_chunk.constprop.0", "operator new", "operator delete", "tcache_get", "tcache_put"}
GROWTH = 0.05
GROWTH_MIN = {"instructions": 30, "allocations": 0.02}  # Smaller differences mean nothing.
HEAD = """\
# Instructions and heap allocations per request, of one node, by room: see instructions.py.
# put@64: 64 requests arrive in one iteration of the loop. Values of 100 bytes, three nodes.
# v3put: through etcd's JSON gateway.
"""


def without_brackets(name):
    """The name of a function without what is in round or angle brackets."""
    name = name.replace("(anonymous namespace)", "anonymous")
    out, depth = [], 0
    name = re.sub(r"operator(<<|<=>|<=|<|->|>>|>=|>|\(\))", "operator", name)
    for letter in name:
        if letter in "(<":
            depth += 1
        elif letter in ")>":
            depth -= 1
        elif depth == 0:
            out.append(letter)
    return "".join(out)


def qualified(name):
    words = without_brackets(name).split(" const")[0].split()
    return words[-1] if words else name


def room_of(name):
    """'kv'; 'base'; 'bench'; None: a library's."""
    parts = qualified(name).split("::")
    if parts[0] != "raftd":
        return None
    if len(parts) > 2 and parts[1] in ROOMS + ["bench", "test"]:
        return "bench" if parts[1] == "test" else parts[1]
    return "base"


class Profile:
    """What callgrind collected, per request."""

    def __init__(self, text):
        self.rooms = collections.Counter()
        self.memory = 0
        self.functions = collections.Counter()
        self.sites = collections.Counter()
        self.allocations = collections.Counter()
        entered = []  # (function that allocates, its owner, address, instructions there)
        owners = {}
        owner, chain, skip = None, [], False
        for line in text.splitlines():
            if line.startswith("fn="):
                chain = line[3:].split("'")
                owner = self.owner_of(line[3:], chain, owners)
            elif line.startswith("calls="):
                skip = True  # The next line is what the call cost in all.
            elif line.startswith("0x"):
                numbers = line.split()  # Address, line, and instructions there if there were any.
                if not skip and len(numbers) == 3:
                    cost = int(numbers[2])
                    self.rooms[owner[0]] += cost
                    self.functions[owner] += cost
                    if chain[0].split("(")[0] in MEMORY and owner[0] != "bench":
                        self.memory += cost
                    if chain[0] in ALLOCATING:
                        entered.append((chain[0], owner, int(numbers[0], 16), cost))
                skip = False
        self.count_allocations(entered)

    def count_allocations(self, entered):
        """As often as its first instruction ran. (calls= counts also while nothing is collected.)"""
        first = {}
        for function, _, address, _ in entered:
            first[function] = min(address, first.get(function, address))
        for function, owner, address, cost in entered:
            if address == first[function]:
                self.allocations[owner[0]] += cost
                self.sites[owner] += cost

    @staticmethod
    def owner_of(name, chain, known):
        if name not in known:
            known[name] = next(
                ((room, qualified(each)) for each in chain if (room := room_of(each))),
                ("bench", chain[0]))
        return known[name]


def measure(program, cell):
    what, who = cell.split()
    method, batch = what.split("@")
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "out"
        subprocess.run(
            ["valgrind", "--tool=callgrind", "--quiet", "--collect-atstart=no",
             f"--separate-callers={CALLERS}", "--compress-strings=no", "--compress-pos=no",
             "--dump-instr=yes",
             f"--callgrind-out-file={out}", program, method, who, batch, str(REQUESTS)],
            check=True, stderr=subprocess.DEVNULL)
        return Profile(out.read_text())


def table_of(profiles):
    """Rows of (name, kind, one number per cell)."""
    def row(name, kind, numbers):
        return name, kind, [number / REQUESTS for number in numbers]

    everything = list(profiles.values())
    rows = [row(room, "instructions", [each.rooms[room] for each in everything])
            for room in ROOMS if any(each.rooms[room] for each in everything)]
    rows.append(row("all", "instructions",
                    [sum(each.rooms[room] for room in ROOMS) for each in everything]))
    rows.append(row("malloc and free", "instructions", [each.memory for each in everything]))
    for room in ROOMS:
        if any(each.allocations[room] for each in everything):
            rows.append(row(room, "allocations", [each.allocations[room] for each in everything]))
    rows.append(row("all", "allocations",
                    [sum(each.allocations[room] for room in ROOMS) for each in everything]))
    return rows


def text_of(rows):
    lines = [HEAD, f"{'':30}" + "".join(f"{cell:>17}" for cell in CELLS)]
    for name, kind, numbers in rows:
        digits = 0 if kind == "instructions" else 2
        lines.append(f"{kind + ', ' + name:30}" + "".join(f"{n:17.{digits}f}" for n in numbers))
    return "\n".join(lines) + "\n"


def recorded():
    """{(kind, name, cell): number}"""
    known = {}
    for line in RECORDED.read_text().splitlines():
        match = re.match(r"(instructions|allocations), (.*?)((?:\s+[\d.]+)+)$", line)
        if match:
            for cell, number in zip(CELLS, match[3].split(), strict=True):
                known[match[1], match[2], cell] = float(number)
    return known


def check(rows):
    known = recorded()
    worse = []
    for name, kind, numbers in rows:
        for cell, number in zip(CELLS, numbers):
            before = known.get((kind, name, cell), 0)
            if number > before + max(before * GROWTH, GROWTH_MIN[kind]):
                worse.append(f"{cell}: {number:.2f} {kind} in {name}, {before:.2f} recorded")
    for line in worse:
        print(line, file=sys.stderr)
    return 1 if worse else 0


def print_sites(profiles):
    """Of the rooms' functions, each with the libraries that it calls."""
    for cell, profile in profiles.items():
        print(f"\n{cell}: allocations")
        for (room, site), count in profile.sites.most_common(24):
            if room != "bench":
                print(f"{count / REQUESTS:10.3f}  {site}")
        print(f"{cell}: instructions")
        for (room, function), cost in profile.functions.most_common(48):
            if room != "bench":
                print(f"{cost / REQUESTS:10.1f}  {function}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sites", action="store_true")
    arguments = parser.parse_args()
    profiles = {cell: measure(arguments.program, cell) for cell in CELLS}
    rows = table_of(profiles)
    print(text_of(rows), end="")
    if arguments.sites:
        print_sites(profiles)
    if arguments.write:
        RECORDED.write_text(text_of(rows))
    return check(rows) if arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
