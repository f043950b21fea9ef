#!/usr/bin/env python3
"""Holds catalogue.md against the tree: every failure F01 to F75 and every hole has one row, each row
names something, and every test that it names is there. Ids that tests carry in their names, as in
[F01], must have a row."""

import pathlib
import re
import sys
import tomllib

TESTS = pathlib.Path(__file__).resolve().parent
FAILURES = [f"F{i:02}" for i in range(1, 76)]
HOLES = [f"{family}-{i}" for family, count in (("ZF", 12), ("SR", 10), ("RF", 19), ("CP", 15))
         for i in range(1, count + 1)]
ROW = re.compile(r"^\| (F\d\d|[A-Z]{2}-\d+) \| (.+?) \| (.+) \|$")
ID = re.compile(r"\b(?:F\d\d|(?:ZF|SR|RF|CP)-\d+)\b")
CASE = re.compile(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)')
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
LATER = {"lease reads"}


def cases_of(folder):
    """The names of all test cases in the files of a folder."""
    names = set()
    for path in sorted((TESTS / folder).glob("*_test.cc")):
        for case in CASE.finditer(path.read_text()):
            names.add("".join(LITERAL.findall(case.group(1))))
    return names


class Tree:
    def __init__(self):
        table = tomllib.loads((TESTS / "mutants/mutants.toml").read_text())
        self.mutants = {mutant["name"]: mutant for mutant in table["mutant"]}
        self.cases = {folder: cases_of(folder) for folder in ("sim", "paper", "embed")}
        for room in (TESTS / "unit").iterdir():
            if room.is_dir():
                self.cases[f"unit/{room.name}"] = cases_of(f"unit/{room.name}")

    def missing(self, reference):
        """Why the reference is no test, or None."""
        kind, _, name = reference.partition(":")
        if kind == "later":
            unknown = set(name.strip().split(", ")) - LATER
            return f"{unknown.pop()} is no later capability" if unknown else None
        if kind == "sim" and name.startswith("mutant "):
            mutant = self.mutants.get(name.removeprefix("mutant "))
            if mutant is None:
                return "there is no such mutant"
            return "the simulator does not find it" if "hole" in mutant else None
        if kind == "scenario":
            return None if (TESTS / "scenario" / name).is_file() else "there is no such file"
        if kind == "fuzz":
            return None if (TESTS / f"fuzz/{name}.cc").is_file() else "there is no such target"
        if kind == "e2e":
            file, _, test = name.partition("::")
            path = TESTS / "e2e" / file
            found = path.is_file() and f"\ndef {test}(" in path.read_text()
            return None if found else "there is no such test"
        room, _, quoted = name.partition(" ") if kind == "unit" else ("", "", name)
        cases = self.cases.get(f"unit/{room}" if kind == "unit" else kind)
        if cases is None:
            return "there is no such folder"
        return None if quoted[:1] + quoted[-1:] == '""' and quoted[1:-1] in cases else \
            "there is no such test case"

    def ids(self):
        """Every id that a test or a mutant says it is about."""
        for folder, names in self.cases.items():
            for name in sorted(names):
                for tag in re.findall(r"\[([^\]]*)\]", name):
                    for found in ID.findall(tag):
                        yield found, f"{folder}: {name}"
        for name, mutant in self.mutants.items():
            for row in mutant["rows"]:
                yield row, f"mutant {name}"


def complaints_of(text, tree):
    rows = {}
    for line in text.splitlines():
        row = ROW.match(line)
        if not row:
            if line.startswith("|") and ID.search(line.split("|")[1]):
                yield f"not a row: {line[:80]}"
            continue
        name, _, cell = row.groups()
        if name in rows:
            yield f"{name}: it has two rows"
        rows[name] = cell
        references = [part.strip() for part in cell.split("<br>")]
        for reference in references:
            if len(reference) < 3 or reference[0] + reference[-1] != "``":
                yield f"{name}: not a reference: {reference}"
                continue
            why = tree.missing(reference[1:-1])
            if why:
                yield f"{name}: {reference[1:-1]}: {why}"
    for name in FAILURES + HOLES:
        if name not in rows:
            yield f"{name}: it has no row"
    for name in set(rows) - set(FAILURES + HOLES):
        yield f"{name}: nothing is known of it"
    for name, where in tree.ids():
        if name not in rows:
            yield f"{name}: {where} is about it, and it has no row"


def self_check(text, tree):
    """The check itself finds what it is for."""
    bad = ((text.replace("| F18 |", "| F19 |"), "F18: it has no row"),
           (text.replace("sim:mutant vote-before-sync", "sim:mutant no-such"), "no such mutant"),
           (text.replace('paper:"', 'paper:"x'), "no such test case"),
           (text.replace("scenario:figure_8.txt", "scenario:figure_9.txt"), "no such file"),
           (text.replace("later: lease reads", "later: teleportation"), "no later capability"),
           (text.replace("<br>", "<br><br>", 1), "not a reference"))
    for sample, expected in bad:
        if not any(expected in complaint for complaint in complaints_of(sample, tree)):
            yield f"the check does not see: {expected}"


def main():
    text = (TESTS / "catalogue.md").read_text()
    tree = Tree()
    complaints = [*complaints_of(text, tree), *self_check(text, tree)]
    for complaint in complaints:
        print(f"catalogue.md: {complaint}")
    later = len(re.findall(r"^\| F\d\d \|.*\| `later: [^`]*` \|$", text, re.MULTILINE))
    print(f"{len(FAILURES)} failures, {later} of them later, and {len(HOLES)} holes")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
