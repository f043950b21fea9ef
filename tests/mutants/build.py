#!/usr/bin/env python3
"""Copies src/ with every mutant of mutants.toml in it, each behind a switch that is off.

    build.py SOURCE OUT     the copy in OUT/src; the names of the mutants in OUT/mutant_names.h
    build.py SOURCE         looks only whether every mutant still fits

A mutant is one bug planted by hand: an exact fragment of a source file and what stands in its place.
In that, MUTANT is true while the mutant is on, and MUTANT(name) while the one of that name is (in a
[[shared]] edit, which several mutants need). The fragment has to be found exactly once, and two
edits may not touch the same text: who changes src/ is told here which mutant has to follow."""

import pathlib
import re
import sys
import tomllib

TABLE = pathlib.Path(__file__).with_name("mutants.toml")
SWITCH = re.compile(r"\bMUTANT\b(?:\(([a-z0-9-]+)\))?")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Misfit(Exception):
    pass


def load(path=TABLE):
    table = tomllib.loads(path.read_text())
    names = set()
    for mutant in table["mutant"]:
        name = mutant["name"]
        if not NAME.fullmatch(name) or name in names:
            raise Misfit(f"{name}: not a name, or there twice")
        names.add(name)
        for key in ("plants", "rows"):
            if not mutant.get(key):
                raise Misfit(f"{name}: it has no {key}")
        if ("seeds" in mutant) == ("hole" in mutant):
            raise Misfit(f"{name}: it needs seeds, or a hole with the reason, and not both")
        if not mutant.get("edit") and not any(name in edit["mutated"]
                                              for edit in table.get("shared", [])):
            raise Misfit(f"{name}: it changes nothing")
    return table


def edits_of(table):
    """(name or None, edit) of every mutant and every shared edit."""
    for mutant in table["mutant"]:
        for edit in mutant.get("edit", []):
            yield mutant["name"], edit
    for edit in table.get("shared", []):
        yield None, edit


def switched(name, edit, names):
    used = 0

    def switch(match):
        nonlocal used
        used += 1
        chosen = match.group(1) or name
        if chosen is None:
            raise Misfit(f"{edit['file']}: a shared edit says MUTANT(name)")
        if chosen not in names:
            raise Misfit(f"{edit['file']}: there is no mutant {chosen}")
        return f'raftd::mutants::on(raftd::mutants::id("{chosen}"))'

    text = SWITCH.sub(switch, edit["mutated"])
    if used == 0:
        raise Misfit(f"{name or 'shared'}: an edit of {edit['file']} never asks for MUTANT")
    return text


def mutate(path, text, edits, names):
    spots = []
    for name, edit in edits:
        who = name or "a shared edit"
        found = text.count(edit["original"])
        if found != 1:
            raise Misfit(f"{who}: found {found} times in {path}, expected once:\n{edit['original']}")
        begin = text.index(edit["original"])
        spots.append((begin, begin + len(edit["original"]), who, switched(name, edit, names)))
    spots.sort()
    for before, after in zip(spots, spots[1:]):
        if after[0] < before[1]:
            raise Misfit(f"{path}: {before[2]} and {after[2]} touch the same text")
    for begin, end, _, replacement in reversed(spots):
        text = text[:begin] + replacement + text[end:]
    return text


def with_switch(path, text):
    if path.endswith(".h"):
        if text.count("#pragma once\n") != 1:
            raise Misfit(f"{path}: no #pragma once")
        return text.replace("#pragma once\n", '#pragma once\n#include "mutants/mutants.h"\n')
    return '#include "mutants/mutants.h"\n' + text


def write(path, text):
    """Not at all when nothing changes: then nothing is compiled again."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names_header(names):
    rows = "".join(f'    "{name}",\n' for name in names)
    return ("// Made from mutants.toml.\n#pragma once\n\n#include <string_view>\n\n"
            "namespace raftd::mutants {\n\ninline constexpr std::string_view kNames[] = {\n"
            f"{rows}}};\n\n}}  // namespace raftd::mutants\n")


def number_of(name):
    number = 0xcbf29ce484222325
    for byte in name.encode():
        number = ((number ^ byte) * 0x100000001b3) % 2**64
    return number


def build(source, out):
    table = load()
    names = [mutant["name"] for mutant in table["mutant"]]
    if len({number_of(name) for name in names} | {0}) != len(names) + 1:
        raise Misfit("two names share a number: rename one")
    by_file = {}
    for name, edit in edits_of(table):
        by_file.setdefault(edit["file"], []).append((name, edit))
    files = {path.relative_to(source).as_posix(): path
             for path in sorted(source.rglob("*")) if path.suffix in (".cc", ".h")}
    complaints = []
    texts = {}
    for file in sorted(set(by_file) | set(files)):
        try:
            if file not in files:
                raise Misfit(f"{by_file[file][0][0]}: there is no {file}")
            texts[file] = files[file].read_text()
            if file in by_file:
                mutated = mutate(file, texts[file], by_file[file], set(names))
                texts[file] = with_switch(file, mutated)
        except Misfit as misfit:
            complaints.append(str(misfit))
    if complaints:
        raise Misfit("\n".join(complaints))
    if out is None:
        print(f"{len(names)} mutants fit")
        return
    for file, text in texts.items():
        write(out / "src" / file, text)
    write(out / "mutant_names.h", names_header(names))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        build(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else None)
    except Misfit as misfit:
        sys.exit(f"mutants.toml: {misfit}")


if __name__ == "__main__":
    main()
