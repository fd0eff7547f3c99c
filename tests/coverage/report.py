#!/usr/bin/env python3
"""Says what of the sources the tests have run, and fails when it is less than it should be.

    report.py BUILD          of a build of the preset "coverage" whose tests have left BUILD/profiles
    report.py BUILD --list   the conditions not seen both ways, in the form of unreached.txt

Lines: at least 95 % of src/ (nothing is excluded). Branches: each condition in src/core and src/journal
has been true and has been false, or stands in tests/coverage/unreached.txt with the reason. A condition is
known by its file, its text and the line it begins on, so that lines may move. One in a template or in a header
counts for all of its uses together. What is listed and was reached is told and is no failure: some are
reached only when threads meet in one way and not in another.
"""

import argparse
import collections
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNREACHED = os.path.join(ROOT, "tests", "coverage", "unreached.txt")
WANTED_LINES = 0.95
STRICT = ("src/core/", "src/journal/")
# What never happens; what no case of a switch names, since the compiler sees to it that all are named; and
# a loop that ends inside.
NO_CONDITION = re.compile(r"HOLDFAST_ASSERT\(|\bswitch \(|while \(true\)")


def fail(message):
    sys.exit(f"coverage: {message}")


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0:
        fail(f"{command[0]}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def merged(build):
    profiles = glob.glob(os.path.join(build, "profiles", "*.profraw"))
    if not profiles:
        fail(f"no test has left anything in {build}/profiles")
    target = os.path.join(build, "profiles", "all.profdata")
    # A program that was killed while it wrote leaves half of a file.
    run(["llvm-profdata", "merge", "-sparse", "-failure-mode=all", "-o", target, *profiles])
    return target


def programs(build):
    found = []
    for folder, _, names in os.walk(build):
        for name in names:
            path = os.path.join(folder, name)
            if "CMakeFiles" in path or os.path.islink(path):
                continue
            if not (os.access(path, os.X_OK) or name.endswith(".so")):
                continue
            with open(path, "rb") as file:
                is_elf = file.read(4) == b"\x7fELF"
            if is_elf and b"__llvm_covmap" in run(["readelf", "-SW", path]):
                found.append(path)
    return sorted(found)


def arguments(build, profile):
    objects = programs(build)
    more = [part for path in objects[1:] for part in ("-object", path)]
    return [f"-instr-profile={profile}", "-ignore-filename-regex=^/usr/|/(tests|build|bench|examples|tools)/",
            objects[0], *more]


class Source:
    """The text of a file by line and column, both from 1."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.lines = file.read().split("\n")

    def text(self, begin_line, begin, end_line, end):
        lines = self.lines[begin_line - 1:end_line]
        lines[-1] = lines[-1][:end - 1]
        lines[0] = lines[0][begin - 1:]
        return " ".join(" ".join(lines).split())


def unreached_in(name, entry):
    """What of its conditions was never true, or never false: "FILE: CONDITION is never true, in LINE"."""
    counts = collections.defaultdict(lambda: [0, 0])
    for branch in entry["branches"]:
        place = tuple(branch[:4])
        counts[place][0] += branch[4]
        counts[place][1] += branch[5]
    source = Source(os.path.join(ROOT, name))
    found = []
    for place, (is_true, is_false) in sorted(counts.items()):
        line = source.lines[place[0] - 1].strip()
        if NO_CONDITION.search(line):
            continue
        missing = {(True, False): "false", (False, True): "true", (False, False): "met"}.get((is_true > 0, is_false > 0))
        if missing:
            found.append(f"{name}: {source.text(*place)} is never {missing}, in: {line}")
    return found


def listed():
    if not os.path.exists(UNREACHED):
        return set()
    with open(UNREACHED, encoding="utf-8") as file:
        return {line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")}


def share(some, all_of_it):
    return f"{some} of {all_of_it}, {100 * some / max(1, all_of_it):.1f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    given = arguments(build, merged(build))
    exported = json.loads(run(["llvm-cov", "export", "-format=text", "-skip-functions", *given]))
    files = {os.path.relpath(entry["filename"], ROOT): entry for entry in exported["data"][0]["files"]}
    sources = {name: entry for name, entry in files.items() if name.startswith(("src/", "include/"))}
    unreached = [each for name in sorted(sources) if name.startswith(STRICT)
                 for each in unreached_in(name, sources[name])]
    if options.list:
        print("\n".join(unreached))
        return 0
    run(["llvm-cov", "show", "-format=html", f"-output-dir={build}/report", "-show-branches=count", *given])
    return judge(sources, unreached, f"{options.build}/report/index.html")


def judge(sources, unreached, report):
    lines = {name: entry["summary"]["lines"] for name, entry in sources.items() if name.startswith("src/")}
    covered = sum(each["covered"] for each in lines.values())
    count = sum(each["count"] for each in lines.values())
    print(f"lines of src/: {share(covered, count)}")
    branches = [entry["summary"]["branches"] for name, entry in sources.items() if name.startswith(STRICT)]
    print("branches of src/core and src/journal: " +
          share(sum(each["covered"] for each in branches), sum(each["count"] for each in branches)))
    known = listed()
    new = [each for each in unreached if each not in known]
    print(f"conditions not seen both ways: {len(unreached)}, of them not in tests/coverage/unreached.txt: {len(new)}")
    for each in new:
        print("  " + each)
    for each in sorted(known - set(unreached)):
        print("listed, and reached this time: " + each)
    print("report: " + report)
    return 0 if covered >= WANTED_LINES * count and not new else 1


if __name__ == "__main__":
    sys.exit(main())
