#!/usr/bin/env python3
"""Breaks the rules of the core one at a time, and shows that a test notices.

    mutate.py [--all] [NAME...]     every tests/mutations/NAME.patch, or those named

Each patch is applied to a copy of the tree under build/mutate; test_unit_core is built and run, and
where it stays green test_model (--all: both, always). A line "Tests: TARGET..." above the diff names
programs that are run before test_model, TARGET:FILTER some tests of one. A patch that no test notices, or that does not apply any
more, is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATCHES = os.path.join(ROOT, "tests", "mutations")
WORK = os.path.join(ROOT, "build", "mutate")
TREE = os.path.join(WORK, "tree")
# As deep as the build folders of the tree itself, so that ccache knows what is the same.
BUILD = os.path.join(TREE, "build", "mutate")
JOBS = os.environ.get("JOBS", str(os.cpu_count()))
# A broken rule shows soon, or in none of a hundred times as many steps.
MODEL_STEPS = "30000"
# What goes round for ever has been noticed as well.
RUN_SECONDS = 120


def fail(message):
    sys.exit(f"mutate: {message}")


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def copy_tree():
    """Only what differs, so that what was built of it stays."""
    listed = run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"])
    if listed.returncode != 0:
        fail("git ls-files failed: " + listed.stdout)
    files = {name for name in listed.stdout.splitlines() if os.path.isfile(os.path.join(ROOT, name))}
    for name in files:
        source, target = os.path.join(ROOT, name), os.path.join(TREE, name)
        if os.path.isfile(target) and open(source, "rb").read() == open(target, "rb").read():
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for folder, folders, names in os.walk(TREE):
        if folder == TREE and "build" in folders:
            folders.remove("build")
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, TREE) not in files:
                os.remove(path)


def configure():
    command = ["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
               "-DCMAKE_CXX_FLAGS=-D_GLIBCXX_ASSERTIONS", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
               "-DHOLDFAST_BUILD_TESTS=ON", "-DHOLDFAST_BUILD_TOOLS=OFF", "-DHOLDFAST_BUILD_EXAMPLES=OFF",
               "-DHOLDFAST_BUILD_BENCH=OFF", "-DHOLDFAST_FAIL_POINTS=ON"]
    if shutil.which("ccache"):
        command += ["-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    done = run(command)
    if done.returncode != 0:
        fail("configuring failed:\n" + done.stdout)


def build(targets):
    return run(["cmake", "--build", BUILD, "-j", JOBS, "--target", *targets])


def red_tests(target):
    """The tests of a program that fail; what ends or hangs it is told as well."""
    environment = dict(os.environ, HOLDFAST_MODEL_STEPS=MODEL_STEPS)
    name, _, chosen = target.partition(":")
    program = os.path.join(BUILD, "tests", name)
    try:
        done = run([program, "--gtest_brief=1", f"--gtest_filter={chosen or '*'}"], env=environment, timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        return [target + " goes on for ever"]
    red = re.findall(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)(?=,| \()", done.stdout, re.MULTILINE)
    red = list(dict.fromkeys(red))
    if done.returncode != 0 and not red:
        red = [f"{target} ended with {done.returncode}"]
    return red


def read_patch(name):
    with open(os.path.join(PATCHES, name + ".patch"), encoding="utf-8") as file:
        text = file.read()
    head = text.split("\n--- ", 1)[0]
    tests = re.search(r"^Tests: (.+)$", head, re.MULTILINE)
    files = re.findall(r"^\+\+\+ b/(\S+)$", text, re.MULTILINE)
    return files, tests.group(1).split() if tests else []


def apply(name):
    """Lines may have moved, and one of context at each side is enough."""
    # Without a ceiling git would take the copy for a folder of the project, and skip it.
    environment = dict(os.environ, GIT_CEILING_DIRECTORIES=WORK)
    return run(["git", "apply", "-C1", os.path.join(PATCHES, name + ".patch")], cwd=TREE, env=environment)


def restore(files):
    for name in files:
        shutil.copyfile(os.path.join(ROOT, name), os.path.join(TREE, name))


def try_patch(name, everything):
    """Whether a test notices it."""
    files, more = read_patch(name)
    begin = time.monotonic()
    applied = apply(name)
    if applied.returncode != 0:
        print(f"{name}: DOES NOT APPLY: {applied.stdout.strip()}", flush=True)
        return False
    try:
        red = []
        for target in ["test_unit_core", *more, "test_model"]:
            if red and not everything:
                break
            built = build([target.partition(":")[0]])
            if built.returncode != 0:
                print(f"{name}: DOES NOT COMPILE: {built.stdout[-1500:]}", flush=True)
                return False
            red += red_tests(target)
    finally:
        restore(files)
    shown = ", ".join(red[:3]) + (f" and {len(red) - 3} more" if len(red) > 3 else "")
    print(f"{name}: {shown or 'NO TEST NOTICES'} ({time.monotonic() - begin:.0f} s)", flush=True)
    return bool(red)


def prepare():
    """A copy of the tree that is built and passes."""
    copy_tree()
    configure()
    targets = ["test_unit_core", "test_model"]
    built = build(targets)
    if built.returncode != 0:
        fail("the tree does not build:\n" + built.stdout[-3000:])
    for target in targets:
        red = red_tests(target)
        if red:
            fail("without any patch these fail: " + ", ".join(red))


def main(arguments):
    everything = "--all" in arguments
    names = [name for name in arguments if name != "--all"]
    known = sorted(name[:-len(".patch")] for name in os.listdir(PATCHES) if name.endswith(".patch"))
    for name in names:
        if name not in known:
            fail(f"there is no tests/mutations/{name}.patch")
    prepare()
    names = names or known
    survivors = [name for name in names if not try_patch(name, everything)]
    print(f"{len(names) - len(survivors)} of {len(names)} are noticed")
    for name in survivors:
        print("not noticed: " + name)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
