#!/usr/bin/env python3
"""Changes operators, constants and conditions of the core one at a time, and counts who notices.

    operators.py [--mutants N] [--seed S] [--list]     200 of them, drawn from all places; --list: the places
    operators.py --like TEXT...                        each whose description has one of these in it

Beside the broken rules of tests/mutations/*.patch, which somebody has thought of, these are thought of by
nobody. Each is one change in one line of src/core/*.cc, in the same copies of the tree that mutate.py works
in: test_unit_core runs first, and where it stays green test_model. What does not compile counts for
nothing and is replaced by the next one drawn. Survivors are listed at the end: those that change nothing
that anybody could see are named, with the reason, in tests/mutations/equivalent.txt, as "FILE: LINE TEXT
=> CHANGED TEXT", and do not count. The run fails below 90 % noticed.
"""

import argparse
import glob
import os
import queue
import random
import re
import sys
import time

import mutate

WANTED_SHARE = 0.9
EQUIVALENT = os.path.join(mutate.PATCHES, "equivalent.txt")

# (what is found in a line of code, what it becomes). Templates and includes are no comparisons, so an
# angle bracket counts only with a space at each side.
CHANGES = [
    (re.compile(r"=="), "!="),
    (re.compile(r"!="), "=="),
    (re.compile(r" < "), " <= "),
    (re.compile(r" <= "), " < "),
    (re.compile(r" > "), " >= "),
    (re.compile(r" >= "), " > "),
    (re.compile(r" && "), " || "),
    (re.compile(r" \|\| "), " && "),
    (re.compile(r" \+ "), " - "),
    (re.compile(r" - "), " + "),
    (re.compile(r" \+= "), " -= "),
    (re.compile(r" -= "), " += "),
    (re.compile(r"\+\+(?=\w)"), "--"),
    (re.compile(r"--(?=\w)"), "++"),
    (re.compile(r"\btrue\b"), "false"),
    (re.compile(r"\bfalse\b"), "true"),
    (re.compile(r"(?<=[(\s])!(?=[\w(])"), ""),
    (re.compile(r"\bif \(([^;]*)\) \{$"), r"if (!(\1)) {"),
    (re.compile(r"\bif \(([^;]*)\) (?=return|continue|break)"), r"if (!(\1)) "),
    (re.compile(r"(?<![\w.'])0(?![\w.'])"), "1"),
    (re.compile(r"(?<![\w.'])1(?![\w.'])"), "2"),
    (re.compile(r"\bstd::min\b"), "std::max"),
    (re.compile(r"\bstd::max\b"), "std::min"),
]
NO_CODE = re.compile(r"^\s*(//|#|namespace|using|static_assert|HOLDFAST_ASSERT|template|struct|class)|^\s*$")
STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//.*')


def places():
    """(file, line number, the line, what becomes of it), all there are."""
    found = []
    for path in sorted(glob.glob(os.path.join(mutate.ROOT, "src", "core", "*.cc"))):
        name = os.path.relpath(path, mutate.ROOT)
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        for number, line in enumerate(lines, 1):
            if NO_CODE.match(line):
                continue
            code = STRING_OR_COMMENT.sub(lambda match: " " * len(match.group()), line)
            for pattern, instead in CHANGES:
                for match in pattern.finditer(code):
                    # What is kept comes from the line itself, with its strings.
                    kept = pattern.match(line, match.start())
                    if kept is None or kept.end() != match.end():
                        continue
                    after = line[:match.start()] + kept.expand(instead) + line[match.end():]
                    found.append((name, number, line, after))
    return found


def known_equivalent():
    if not os.path.exists(EQUIVALENT):
        return set()
    with open(EQUIVALENT, encoding="utf-8") as file:
        return {line.strip() for line in file if line.strip() and not line.startswith("#")}


def describe(place):
    name, _, before, after = place
    return f"{os.path.basename(name)}: {before.strip()} => {after.strip()}"


def try_place(tree, place):
    """Who notices; None when it does not compile."""
    name, number, _, after = place
    target = os.path.join(tree.path, name)
    with tree.broken([name]):
        with open(target, encoding="utf-8") as file:
            lines = file.read().split("\n")
        lines[number - 1] = after
        with open(target, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        for program in ["test_unit_core", "test_model"]:
            if tree.build([program]).returncode != 0:
                return None
            red = tree.red_tests(program)
            if red:
                return red
        return []


def try_one_that_compiles(tree, drawn):
    """The next place drawn that compiles, and whether it was noticed; None when there is none left."""
    for place in iter(drawn.get, None):
        begin = time.monotonic()
        red = try_place(tree, place)
        if red is None:
            continue
        print(f"{place[0]}:{place[1]}: {red[0] if red else 'NO TEST NOTICES'}: {describe(place)} "
              f"({time.monotonic() - begin:.0f} s)", flush=True)
        return place, bool(red)
    drawn.put(None)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--like", nargs="+", metavar="TEXT")
    options = parser.parse_args()
    if options.mutants < 1:
        mutate.fail("--mutants has to be 1 or more")
    all_places = places()
    if options.list:
        for place in all_places:
            print(f"{place[0]}:{place[1]}: {describe(place)}")
        return 0
    random.Random(options.seed).shuffle(all_places)
    equivalent = known_equivalent()
    drawn = queue.SimpleQueue()
    count = options.mutants
    if options.like:
        all_places = [place for place in all_places if any(text in describe(place) for text in options.like)]
        count = len(all_places)
    for place in all_places:
        if describe(place) not in equivalent:
            drawn.put(place)
    drawn.put(None)
    tried = list(mutate.on_trees(range(count), lambda tree, _: try_one_that_compiles(tree, drawn)))
    tried = [result for result in tried if result is not None]
    survivors = [place for place, is_noticed in tried if not is_noticed]
    noticed = len(tried) - len(survivors)
    print(f"seed {options.seed}: {noticed} of {len(tried)} are noticed, of {len(all_places)} places")
    for place in survivors:
        print(f"not noticed: {place[0]}:{place[1]}: {describe(place)}")
    return 0 if noticed >= WANTED_SHARE * len(tried) else 1


if __name__ == "__main__":
    sys.exit(main())
