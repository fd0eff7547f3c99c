#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds README.md and docs/ to the tree.

- A test they name, `Suite.NameOfTheTest` in backticks, exists.
- A code block behind a line `<!-- path -->` is that file, from its first #include on; behind `<!-- path#part -->`
  it is what stands in that file between `// [part]` and `// [/part]`, indented less.
- A page that shows parts of files shows no other C++, and every part of such a file.
- Every `docs/...`, `examples/...`, `tests/...` path in backticks exists.
"""

import pathlib
import re
import sys
import textwrap

DEFINITION = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\(\s*(\w+),\s*(\w+)\s*\)", re.M)
NAMED_TEST = re.compile(r"`([A-Z]\w+\.[A-Z]\w+)`")
NAMED_PATH = re.compile(r"`((?:docs|examples|tests|src|bench|schemas|cmake)/[\w./-]+)`")
EMBEDDED = re.compile(r"<!-- ([\w./-]+)(?:#([\w-]+))? -->\n```\w*\n(.*?)```", re.S)
PART = re.compile(r"^ *// \[([\w-]+)\]\n(.*?)^ *// \[/\1\]$", re.M | re.S)


def known_tests(root: pathlib.Path) -> set[str]:
    known = set()
    for path in (root / "tests").rglob("*.cc"):
        for suite, name in DEFINITION.findall(path.read_text(encoding="utf-8")):
            known.add(f"{suite}.{name}")
    return known


def source_of(path: pathlib.Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text[text.index("#include") :]


def parts_of(path: pathlib.Path) -> dict[str, str]:
    parts = PART.findall(path.read_text(encoding="utf-8"))
    return {name: textwrap.dedent(part) for name, part in parts}


def wrong_parts(root: pathlib.Path, page: pathlib.Path, text: str) -> list[str]:
    shown = [(path, name, block) for path, name, block in EMBEDDED.findall(text) if name]
    if not shown:
        return []
    place = page.relative_to(root)
    known = {path: parts_of(root / path) for path, _, _ in shown}
    found = [
        f"{place}: the block of {path}#{name} is not what stands there"
        for path, name, block in shown
        if known[path].get(name) != block
    ]
    for path, parts in known.items():
        missing = parts.keys() - {name for of, name, _ in shown if of == path}
        found += [f"{place}: {path}#{name} is not shown" for name in sorted(missing)]
    others = text.count("```cpp\n") - len(EMBEDDED.findall(text))
    if others:
        found.append(f"{place}: {others} blocks of C++ are not parts of a file that is compiled")
    return found


def findings(root: pathlib.Path, page: pathlib.Path, known: set[str]) -> list[str]:
    text = page.read_text(encoding="utf-8")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{page.relative_to(root)}:{number}"
        found += [f"{place}: there is no test {n}" for n in NAMED_TEST.findall(line) if n not in known]
        found += [
            f"{place}: there is no {p}" for p in NAMED_PATH.findall(line) if not (root / p).exists()
        ]
    for path, part, block in EMBEDDED.findall(text):
        if not part and block != source_of(root / path):
            found.append(f"{page.relative_to(root)}: the block of {path} is not that file")
    return found + wrong_parts(root, page, text)


def main(root: pathlib.Path) -> int:
    known = known_tests(root)
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    found = [each for page in pages for each in findings(root, page, known)]
    print("\n".join(found) or f"docs: {len(pages)} pages agree with the tree, {len(known)} tests known")
    return 1 if found or not known else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
