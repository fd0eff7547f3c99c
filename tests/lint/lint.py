#!/usr/bin/env python3
"""Holds the tree to its rules of layering and wording. Standard library only, under two seconds.

    lint.py [ROOT]      prints FILE:LINE: rule: what is wrong; exit 1 if anything is

A single line may be let off with its reason:   // lint: allow RULE, because ...
"""

import bisect
import os
import re
import sys

# --- What may include what ------------------------------------------------------------------------

# Room -> the rooms under src/ it may include, besides itself. The arrows only ever point down:
# core and journal are siblings that meet in runtime, and engines are known to the seam's open.cc alone.
ROOM_EDGES = {
    "base": set(),
    "model": {"base"},
    "journal": {"model", "base"},
    "journal/memory": {"journal", "model", "base"},
    "journal/rocks": {"journal", "model", "base"},
    "core": {"model", "base"},
    "runtime": {"core", "journal", "model", "base"},
    "plugin": {"base"},
    "torture": set(),
}

# The one file of a room that may include more than its room.
FILE_EDGES = {
    "src/journal/open.cc": {"journal/memory", "journal/rocks"},
}

# Every room may speak in the types of the public API. The headers of what acts are for the rooms
# above the core.
ACTING_HEADERS = {
    "batch.h", "bus.h", "control_client.h", "holdfast.h", "plugin.h", "plugin_host.h", "throwing.h",
    "torture.h", "view.h",
}
ROOMS_WITH_WHOLE_API = {"runtime", "plugin", "torture"}

# Third-party header -> the folders that may include it. tests/ and bench/ may include any of them
# (they look inside), except those marked as nobody else's.
THIRD_PARTY = [
    (re.compile(r"^rocksdb/"), {"src/journal/rocks"}),
    (re.compile(r"^flatbuffers/|_generated\.h$"), {"src/model"}),
    (re.compile(r"^(spdlog|fmt)/"), {"src/base"}),
    (re.compile(r"^xxh(3|ash)\.h$"), {"src/model", "src/base"}),
    (re.compile(r"^roaring/"), {"src/core"}),
    (re.compile(r"^CLI/"), {"tools"}),
    (re.compile(r"^nlohmann/"), {"tools"}),
    (re.compile(r"^dlfcn\.h$"), {"src/plugin"}),
    (re.compile(r"^openssl/"), {"examples"}),
    (re.compile(r"^sqlite3\.h$"), set()),
    (re.compile(r"^(gtest|gmock)/"), set()),
    (re.compile(r"^benchmark/"), set()),
]
SYSTEM = re.compile(r"^(sys|linux|netinet|arpa|bits)/")
# Opt-in public headers whose very purpose is the third party.
PUBLIC_THIRD_PARTY = {"include/holdfast/flatbuffers.h": re.compile(r"^flatbuffers/")}

# Rooms that know neither threads, nor the time of day, nor I/O.
PURE_ROOMS = {"core", "model"}
IMPURE_HEADERS = re.compile(
    r"^(thread|mutex|shared_mutex|condition_variable|atomic|future|semaphore|latch|barrier|stop_token"
    r"|fstream|iostream|filesystem|cstdio|unistd\.h|fcntl\.h|pthread\.h|sys/.*)$")

# --- Words and sizes ------------------------------------------------------------------------------

FILE_LINES_MAX = 600

# (rule, where it holds, what is searched in code without comments and strings, message)
BANNED = [
    ("sleep", re.compile(r"^tests/"), re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\("),
     "a test that sleeps is slow or flaky: wait for the condition, or move a fake clock"),
    # assert.cc has the last words of a process that has no logger any more.
    ("stdout", re.compile(r"^(src/(?!base/assert\.cc$)|include/)"),
     re.compile(r"\bstd::(cout|cerr|clog)\b|(?<![\w.>])(std::)?v?f?printf\s*\(|\b(std::)?puts\s*\("),
     "the library writes to the embedder's logger only"),
    ("clock", re.compile(r"^src/(core|model)/"), re.compile(r"_clock::now\b|\b(time|clock_gettime)\s*\("),
     "the time is handed in"),
    ("using-namespace", re.compile(r"\.h$"), re.compile(r"\busing\s+namespace\b"),
     "a header must not open a namespace for everybody who includes it"),
    ("engine", re.compile(r"^src/runtime/"), re.compile(r"\b(rocksdb|flatbuffers)::"),
     "the runtime knows no engine and no encoding"),
]
UNNUMBERED_TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\((#\d+|decision \d{4})\))")
FAIL_POINT = re.compile(r'\bHOLDFAST_FAIL_POINT\("([^"]+)"\)')
CLASS_DEFINITION = re.compile(
    r"^(?:template\s*<[^{;]*>\s*)?class\s+(?:\[\[\w+\]\]\s+)?(?:HOLDFAST_\w+\s+)?(?:\[\[\w+\]\]\s+)?"
    r"(\w+)(?:\s+final)?\s*(?::[^{;]*)?\{", re.M)
# Headers whose classes hold nothing that two threads could meet at.
NO_THREADS_LINE = {"throwing.h"}

SOURCE = re.compile(r"\.(h|hh|hpp|cc|cpp|c)$")
SOURCE_ROOTS = ("include", "src", "tools", "examples", "bench", "tests")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)
ALLOW = re.compile(r"//\s*lint: allow ([\w-]+), because \S")
# One pass over what is not code. Raw strings come first, since anything may stand in them.
NOT_CODE = re.compile(
    r'R"([^()\\\s]{0,16})\(.*?\)\1"' r"|//[^\n]*" r"|/\*.*?\*/" r'|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+'", re.S)


def blank(match):
    """Spaces of the same shape, so that line numbers stay what they are."""
    return re.sub(r"[^\n]", " ", match.group())


class File:
    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        self._ends = [m.start() for m in re.finditer("\n", self.text)]
        self.code = NOT_CODE.sub(blank, self.text)
        self.allowed = {
            (self.line(m.start()), m.group(1)) for m in ALLOW.finditer(self.text)}

    def line(self, offset):
        return bisect.bisect_left(self._ends, offset) + 1

    def includes(self):
        for match in INCLUDE.finditer(self.text):
            # An include that stands in a comment or a raw string is none.
            if self.code[match.start():match.start(1)].strip().startswith("#"):
                yield match.start(), match.group(1) == "<", match.group(2)


class Lint:
    def __init__(self, root):
        self.root = root
        self.findings = []
        self.fail_points = []  # (file, offset, name)
        self.crash_tests = ""

    def say(self, file, offset, rule, message):
        line = file.line(offset)
        if (line, rule) not in file.allowed:
            self.findings.append(f"{file.path}:{line}: {rule}: {message}")

    def run(self):
        for top in SOURCE_ROOTS:
            for folder, folders, names in os.walk(os.path.join(self.root, top)):
                folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "build")
                for name in sorted(names):
                    if SOURCE.search(name):
                        path = os.path.relpath(os.path.join(folder, name), self.root)
                        self.check(File(self.root, path.replace(os.sep, "/")))
        for file, offset, name in self.fail_points:
            if self.crash_tests and f'"{name}' not in self.crash_tests:
                self.say(file, offset, "fail-point", f"no test in tests/crash passes {name}")
        return self.findings

    def check(self, file):
        if file.path.startswith("src/"):
            self.fail_points += [(file, m.start(), m.group(1)) for m in FAIL_POINT.finditer(file.text)]
        if file.path.startswith("tests/crash/"):
            self.crash_tests += file.text
        self.check_includes(file)
        self.check_words(file)
        if file.path.startswith("include/holdfast/"):
            self.check_threads_lines(file)
        if file.path.endswith(".h") and "#pragma once" not in file.text:
            if not file.path.endswith("plugin.h") or "#ifndef" not in file.text:
                self.say(file, 0, "pragma-once", "every header begins with #pragma once")
        lines = file.text.count("\n")
        if lines > FILE_LINES_MAX:
            self.say(file, 0, "file-size", f"{lines} lines; at most {FILE_LINES_MAX}: find the second story")

    # --- Includes ---

    def check_includes(self, file):
        top = file.path.split("/", 1)[0]
        room = room_of(file.path)
        if top == "src" and room is None and file.path.endswith((".h", ".cc")):
            self.say(file, 0, "room", "this folder is no room; add it to the table in lint.py")
            return
        for offset, angled, name in file.includes():
            if self.check_third_party(file, offset, top, name):
                continue
            if room in PURE_ROOMS and angled and IMPURE_HEADERS.match(name):
                self.say(file, offset, "pure-room", f"{room} knows no threads, clock or I/O: <{name}>")
            if name.startswith("holdfast/"):
                self.check_public(file, offset, top, room, name)
            elif top == "include":
                if not angled or not is_standard(name):
                    self.say(file, offset, "public-include",
                             f"public headers include the standard library and each other, not {name}")
            elif top == "src":
                self.check_room_edge(file, offset, room, angled, name)
            elif top in ("tools", "examples") and not angled:
                self.check_own_folder(file, offset, top, name)

    def check_third_party(self, file, offset, top, name):
        """True when `name` is a third party's, whether or not it is allowed here."""
        for pattern, folders in THIRD_PARTY:
            if not pattern.search(name):
                continue
            opt_in = PUBLIC_THIRD_PARTY.get(file.path)
            fine = (top in ("tests", "bench") or (opt_in and opt_in.search(name))
                    or any(room_folder(file.path, folder) for folder in folders))
            if not fine:
                where = " and ".join(sorted(folders)) or "tests and bench"
                self.say(file, offset, "third-party", f"{name} is for {where} only")
            return True
        if top in ("src", "tools", "examples") and "/" in name and not SYSTEM.match(name) \
                and room_of("src/" + name) is None and not name.startswith(("holdfast/", top + "/", "..")) \
                and not os.path.exists(os.path.join(self.root, top, name)):
            self.say(file, offset, "third-party", f"{name} is in no table; which room may have it?")
            return True
        return False

    def check_public(self, file, offset, top, room, name):
        if not os.path.exists(os.path.join(self.root, "include", name)) and not os.path.exists(
                os.path.join(self.root, "include", name + ".in")) and name != "holdfast/export.h":
            self.say(file, offset, "public-include", f"there is no include/{name}")
        elif (top == "src" and room not in ROOMS_WITH_WHOLE_API
              and name.split("/", 1)[1] in ACTING_HEADERS):
            self.say(file, offset, "room-edge", f"{room} may speak in the public types, not use {name}")

    def check_room_edge(self, file, offset, room, angled, name):
        target = room_of("src/" + name)
        if target is None:
            if not angled:
                self.say(file, offset, "rooted-include", f'"{name}" is not rooted at src/ or include/')
            return
        if angled:
            self.say(file, offset, "rooted-include", f"ours are quoted: {name}")
        if target != room and target not in ROOM_EDGES[room] | FILE_EDGES.get(file.path, set()):
            self.say(file, offset, "room-edge", f"{room} must not include {target} ({name})")

    def check_own_folder(self, file, offset, top, name):
        beside = os.path.join(self.root, os.path.dirname(file.path), name)
        rooted = [os.path.join(self.root, base, name) for base in ("", top)]
        own = os.path.join(self.root, top) + os.sep
        if not any(os.path.isfile(p) and os.path.normpath(p).startswith(os.path.normpath(own) + os.sep)
                   for p in [beside, *rooted]):
            self.say(file, offset, "public-only",
                     f'{top} see the public headers and their own files, not "{name}"')

    # --- Words ---

    def check_words(self, file):
        for rule, where, pattern, message in BANNED:
            if where.search(file.path):
                for match in pattern.finditer(file.code):
                    self.say(file, match.start(), rule, f"{match.group().strip(' (')}: {message}")
        for match in UNNUMBERED_TODO.finditer(file.text):
            self.say(file, match.start(), "todo",
                     f"{match.group()} needs a number: {match.group()}(#12) or (decision 0003)")

    def check_threads_lines(self, file):
        if os.path.basename(file.path) in NO_THREADS_LINE:
            return
        lines = file.text.split("\n")
        for match in CLASS_DEFINITION.finditer(file.code):
            above = file.line(match.start()) - 2
            comment = []
            while above >= 0 and re.match(r"\s*(///|template\b)", lines[above]):
                comment.append(lines[above])
                above -= 1
            if not any("Threads:" in text for text in comment):
                self.say(file, match.start(), "threads-line",
                         f"the comment of class {match.group(1)} does not say which threads may use it"
                         ' ("Threads:")')


def room_of(path):
    """The room of a path that begins with src/: the longest that matches."""
    if not path.startswith("src/"):
        return None
    folder = path[len("src/"):].rsplit("/", 1)[0]
    while folder:
        if folder in ROOM_EDGES:
            return folder
        folder = folder.rsplit("/", 1)[0] if "/" in folder else ""
    return None


def room_folder(path, folder):
    """Whether the file is of `folder` itself: src/journal does not reach into src/journal/rocks."""
    if folder.startswith("src/"):
        return room_of(path) == folder[len("src/"):]
    return path.startswith(folder + "/")


def is_standard(name):
    """<vector>, <stdint.h>; anything with a folder in it is somebody else's, but for the system's own."""
    return "/" not in name or bool(SYSTEM.match(name))


def main():
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    if not os.path.isdir(os.path.join(root, "src")):
        print(f"lint: {root} has no src/", file=sys.stderr)
        return 2
    findings = Lint(root).run()
    for finding in findings:
        print(finding)
    print(f"lint: {len(findings)} finding(s)" if findings else "lint: clean", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
