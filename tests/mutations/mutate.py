#!/usr/bin/env python3
"""Breaks the rules of the core one at a time, and shows that a test notices.

    mutate.py [--all] [NAME...]     every tests/mutations/NAME.patch, or those named

Each patch is applied to a copy of the tree under build/mutate (one copy per job: a patch is one
file to compile, so that is what there is to do at a time); test_unit_core is built and run, and where
it stays green test_model (--all: both, always). A line "Tests: TARGET..." above the diff names programs
that are run before test_model, TARGET:FILTER some tests of one. A patch that no test notices, or that
does not apply any more, is a failure.
"""

import concurrent.futures
import contextlib
import os
import queue
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATCHES = os.path.join(ROOT, "tests", "mutations")
WORK = os.path.join(ROOT, "build", "mutate")
JOBS = int(os.environ.get("JOBS", os.cpu_count()))
# A broken rule shows soon, or in none of a hundred times as many steps.
MODEL_STEPS = "30000"
# What goes round for ever has been noticed as well.
RUN_SECONDS = 120


def fail(message):
    sys.exit(f"mutate: {message}")


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


class Tree:
    """A copy of the project that may be broken."""

    def __init__(self, number):
        self.path = os.path.join(WORK, f"tree-{number}")
        # As deep as the build folders of the project itself, so that ccache knows what is the same.
        self.build_path = os.path.join(self.path, "build", "mutate")

    def prepare(self, jobs):
        """Is the same as the project, is built, and passes."""
        self._copy()
        self._configure()
        targets = ["test_unit_core", "test_model"]
        built = self.build(targets, jobs)
        if built.returncode != 0:
            fail("the tree does not build:\n" + built.stdout[-3000:])
        for target in targets:
            red = self.red_tests(target)
            if red:
                fail("without any patch these fail: " + ", ".join(red))

    def _copy(self):
        """Only what differs, so that what was built of it stays."""
        listed = run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"])
        if listed.returncode != 0:
            fail("git ls-files failed: " + listed.stdout)
        files = {name for name in listed.stdout.splitlines() if os.path.isfile(os.path.join(ROOT, name))}
        for name in files:
            source, target = os.path.join(ROOT, name), os.path.join(self.path, name)
            if os.path.isfile(target) and open(source, "rb").read() == open(target, "rb").read():
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
        for folder, folders, names in os.walk(self.path):
            if folder == self.path and "build" in folders:
                folders.remove("build")
            for name in names:
                path = os.path.join(folder, name)
                if os.path.relpath(path, self.path) not in files:
                    os.remove(path)

    def _configure(self):
        command = ["cmake", "-S", self.path, "-B", self.build_path, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                   "-DCMAKE_CXX_FLAGS=-D_GLIBCXX_ASSERTIONS", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
                   "-DHOLDFAST_BUILD_TESTS=ON", "-DHOLDFAST_BUILD_TOOLS=ON", "-DHOLDFAST_BUILD_EXAMPLES=OFF",
                   "-DHOLDFAST_BUILD_BENCH=OFF", "-DHOLDFAST_FAIL_POINTS=ON"]
        if shutil.which("ccache"):
            command += ["-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
        done = run(command)
        if done.returncode != 0:
            fail("configuring failed:\n" + done.stdout)

    def build(self, targets, jobs=1):
        return run(["cmake", "--build", self.build_path, "-j", str(jobs), "--target", *targets])

    def red_tests(self, target):
        """The tests of a program that fail; what ends or hangs it is told as well."""
        environment = dict(os.environ, HOLDFAST_MODEL_STEPS=MODEL_STEPS)
        name, _, chosen = target.partition(":")
        program = os.path.join(self.build_path, "tests", name)
        command = [program, "--gtest_brief=1", f"--gtest_filter={chosen or '*'}"]
        try:
            done = run(command, env=environment, timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            return [target + " goes on for ever"]
        red = re.findall(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)(?=,| \()", done.stdout, re.MULTILINE)
        red = list(dict.fromkeys(red))
        if done.returncode != 0 and not red:
            red = [f"{target} ended with {done.returncode}"]
        return red

    def apply(self, name):
        """Lines may have moved, and one of context at each side is enough."""
        # Without a ceiling git would take the copy for a folder of the project, and skip it.
        environment = dict(os.environ, GIT_CEILING_DIRECTORIES=WORK)
        return run(["git", "apply", "-C1", os.path.join(PATCHES, name + ".patch")], cwd=self.path, env=environment)

    @contextlib.contextmanager
    def broken(self, files):
        """Whatever is done to `files` within is undone: not from the project, which may have gone on."""
        paths = [os.path.join(self.path, name) for name in files]
        before = [open(path, "rb").read() for path in paths]
        try:
            yield
        finally:
            for path, content in zip(paths, before):
                with open(path, "wb") as file:
                    file.write(content)


def on_trees(items, work):
    """`work(tree, item)` for each, as many at a time as there are jobs; the results as they come."""
    trees = queue.SimpleQueue()
    for number in range(JOBS):
        tree = Tree(number)
        tree.prepare(JOBS)
        trees.put(tree)

    def work_on_a_free_one(item):
        tree = trees.get()
        try:
            return work(tree, item)
        finally:
            trees.put(tree)

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for done in concurrent.futures.as_completed([pool.submit(work_on_a_free_one, item) for item in items]):
            yield done.result()


def read_patch(name):
    with open(os.path.join(PATCHES, name + ".patch"), encoding="utf-8") as file:
        text = file.read()
    head = text.split("\n--- ", 1)[0]
    tests = re.search(r"^Tests: (.+)$", head, re.MULTILINE)
    files = re.findall(r"^\+\+\+ b/(\S+)$", text, re.MULTILINE)
    return files, tests.group(1).split() if tests else []


def try_patch(tree, name, everything):
    """Its name, and whether a test notices it."""
    files, more = read_patch(name)
    begin = time.monotonic()
    with tree.broken(files):
        applied = tree.apply(name)
        if applied.returncode != 0:
            print(f"{name}: DOES NOT APPLY: {applied.stdout.strip()}", flush=True)
            return name, False
        red = []
        for target in ["test_unit_core", *more, "test_model"]:
            if red and not everything:
                break
            built = tree.build([target.partition(":")[0]])
            if built.returncode != 0:
                print(f"{name}: DOES NOT COMPILE: {built.stdout[-1500:]}", flush=True)
                return name, False
            red += tree.red_tests(target)
    shown = ", ".join(red[:3]) + (f" and {len(red) - 3} more" if len(red) > 3 else "")
    print(f"{name}: {shown or 'NO TEST NOTICES'} ({time.monotonic() - begin:.0f} s)", flush=True)
    return name, bool(red)


def main(arguments):
    everything = "--all" in arguments
    names = [name for name in arguments if name != "--all"]
    known = sorted(name[:-len(".patch")] for name in os.listdir(PATCHES) if name.endswith(".patch"))
    for name in names:
        if name not in known:
            fail(f"there is no tests/mutations/{name}.patch")
    names = names or known
    results = list(on_trees(names, lambda tree, name: try_patch(tree, name, everything)))
    survivors = sorted(name for name, is_noticed in results if not is_noticed)
    print(f"{len(names) - len(survivors)} of {len(names)} are noticed")
    for name in survivors:
        print("not noticed: " + name)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
