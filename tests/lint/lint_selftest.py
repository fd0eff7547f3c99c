#!/usr/bin/env python3
"""Goal: every rule of lint.py can go red, and stays green where it should.

Method: each case is a tree of a few files in a temporary folder and the rule it must break, or none.
"""

import os
import subprocess
import sys
import tempfile
import unittest

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lint.py")
H = "#pragma once\n"

# (name, {path: text}, the rule that must be named; None = clean)
CASES = [
    ("core does not know the journal",
     {"src/core/ledger.cc": '#include "journal/journal.h"\n'}, "room-edge"),
    ("the journal does not know the core",
     {"src/journal/journal.h": H + '#include "core/ledger.h"\n'}, "room-edge"),
    ("the runtime does not know an engine",
     {"src/runtime/bus.cc": '#include "journal/rocks/rocks_journal.h"\n'}, "room-edge"),
    ("one engine does not know the other",
     {"src/journal/rocks/keys.h": H + '#include "journal/memory/memory_journal.h"\n'}, "room-edge"),
    ("base knows no other room",
     {"src/base/log.cc": '#include "model/ids.h"\n'}, "room-edge"),
    ("lower rooms speak in values",
     {"src/core/ledger.cc": '#include "holdfast/bus.h"\n', "include/holdfast/bus.h": H}, "room-edge"),
    ("only the seam's open.cc names engines",
     {"src/journal/scan.cc": '#include "journal/rocks/rocks_journal.h"\n'}, "room-edge"),
    ("open.cc may name engines",
     {"src/journal/open.cc": '#include "journal/rocks/rocks_journal.h"\n'
                             '#include "journal/memory/memory_journal.h"\n'}, None),
    ("allowed edges",
     {"src/runtime/bus.cc": '#include "core/ledger.h"\n#include "journal/journal.h"\n'
                            '#include "holdfast/bus.h"\n#include <thread>\n',
      "include/holdfast/bus.h": H}, None),
    ("rocksdb stays in its room", {"src/runtime/bus.cc": "#include <rocksdb/db.h>\n"}, "third-party"),
    ("rocksdb is not for the seam", {"src/journal/open.cc": "#include <rocksdb/db.h>\n"}, "third-party"),
    ("rocksdb in its room", {"src/journal/rocks/open.cc": "#include <rocksdb/db.h>\n"}, None),
    ("generated code stays in the model",
     {"src/core/ledger.cc": '#include "event_generated.h"\n'}, "third-party"),
    ("spdlog stays in base", {"src/core/ledger.cc": "#include <spdlog/spdlog.h>\n"}, "third-party"),
    ("a third party in no table", {"src/model/ids.cc": "#include <boost/asio.hpp>\n"}, "third-party"),
    ("the system's own headers", {"src/runtime/a.cc": "#include <sys/un.h>\n#include <unistd.h>\n"}, None),
    ("xxhash stays in base and model", {"src/core/a.cc": "#include <xxhash.h>\n"}, "third-party"),
    ("CLI11 stays in tools", {"src/base/a.cc": "#include <CLI/CLI.hpp>\n"}, "third-party"),
    ("nlohmann stays in tools",
     {"examples/a.cc": "#include <nlohmann/json.hpp>\n"}, "third-party"),
    ("dlfcn stays in plugin", {"src/runtime/a.cc": "#include <dlfcn.h>\n"}, "third-party"),
    ("openssl stays in examples", {"tools/a.cc": "#include <openssl/evp.h>\n"}, "third-party"),
    ("public headers have no third party",
     {"include/holdfast/bus.h": H + "#include <rocksdb/db.h>\n"}, "third-party"),
    ("public headers have no unknown party",
     {"include/holdfast/bus.h": H + "#include <boost/asio.hpp>\n"}, "public-include"),
    ("public headers have nothing of src",
     {"include/holdfast/bus.h": H + '#include "core/ledger.h"\n'}, "public-include"),
    ("the opt-in FlatBuffers header",
     {"include/holdfast/flatbuffers.h": H + "#include <flatbuffers/flatbuffers.h>\n"}, None),
    ("tools see nothing of src",
     {"tools/main.cc": '#include "core/ledger.h"\n', "src/core/ledger.h": H}, "public-only"),
    ("tools see no src by a relative path",
     {"tools/main.cc": '#include "../src/core/ledger.h"\n', "src/core/ledger.h": H}, "public-only"),
    ("tools see their own files",
     {"tools/main.cc": '#include "output.h"\n#include "tools/output.h"\n', "tools/output.h": H}, None),
    ("examples see nothing of src",
     {"examples/indexer/a.cc": '#include "core/ledger.h"\n', "src/core/ledger.h": H}, "public-only"),
    ("the core knows no threads", {"src/core/a.h": H + "#include <mutex>\n"}, "pure-room"),
    ("the core does not read the clock",
     {"src/core/a.cc": "auto now = std::chrono::steady_clock::now();\n"}, "clock"),
    ("tests do not sleep",
     {"tests/unit/core/a_test.cc": "std::this_thread::sleep_for(1s);\n"}, "sleep"),
    ("a named reason lets a line off",
     {"tests/unit/core/a_test.cc":
      "std::this_thread::sleep_for(1s);  // lint: allow sleep, because the clock is the subject\n"}, None),
    ("the library does not print", {"src/base/a.cc": 'std::cout << "x";\n'}, "stdout"),
    ("the library does not printf", {"src/base/a.cc": 'std::printf("x");\n'}, "stdout"),
    ("snprintf prints nothing", {"src/base/a.cc": 'std::snprintf(b, 1, "x");\n'}, None),
    ("what a comment or a string says is not code",
     {"src/base/a.cc": '// std::cout\n/* printf("x") */ auto s = "std::cout";\n'
                       'auto r = R"(\n#include <rocksdb/db.h>\n)";\nint n = 1\'000;\n'}, None),
    ("headers open no namespace", {"src/base/a.h": H + "using namespace std;\n"}, "using-namespace"),
    ("a task without a number", {"src/base/a.cc": "// TODO: later\n"}, "todo"),
    ("a task with a number", {"src/base/a.cc": "// TODO(#12): later\n// FIXME(decision 0003)\n"}, None),
    ("a fail point without a crash test",
     {"src/core/a.cc": 'HOLDFAST_FAIL_POINT("a.b");\n', "tests/crash/a_test.cc": "int x;\n"}, "fail-point"),
    ("a fail point with its crash test",
     {"src/core/a.cc": 'HOLDFAST_FAIL_POINT("a.b");\n', "tests/crash/a_test.cc": 'kill_at("a.b:3");\n'},
     None),
    ("long files", {"src/base/a.cc": "int x;\n" * 601}, "file-size"),
    ("headers without a guard", {"src/base/a.h": "int x;\n"}, "pragma-once"),
    ("public classes say which threads",
     {"include/holdfast/bus.h": H + "/// A bus.\nclass Bus {\n};\n"}, "threads-line"),
    ("public classes that say it",
     {"include/holdfast/bus.h": H + "/// A bus. Threads: any.\ntemplate <typename T>\n"
                                    "class [[nodiscard]] HOLDFAST_EXPORT Bus : Base {\n};\nclass Fwd;\n"
                                    "enum class E { a };\n"}, None),
    ("folders that are no room", {"src/stuff/a.cc": "int x;\n"}, "room"),
    ("includes are rooted", {"src/base/a.cc": '#include "log.h"\n'}, "rooted-include"),
]


class LintTest(unittest.TestCase):
    def test_every_rule(self):
        for name, files, rule in CASES:
            with self.subTest(name), tempfile.TemporaryDirectory() as root:
                os.makedirs(os.path.join(root, "src"))
                for path, text in files.items():
                    os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                    with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                        file.write(text)
                status, output = self.lint(root)
                if rule is None:
                    self.assertEqual((status, output), (0, ""))
                else:
                    self.assertEqual(status, 1, output)
                    self.assertIn(f": {rule}: ", output)

    def test_the_process_goes_red(self):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "src/core"))
            with open(os.path.join(root, "src/core/a.cc"), "w", encoding="utf-8") as file:
                file.write('#include "journal/journal.h"\n')
            done = subprocess.run([sys.executable, LINT, root], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("src/core/a.cc:1: room-edge:", done.stdout)

    def lint(self, root):
        findings = lint.Lint(root).run()
        return (1 if findings else 0), "\n".join(findings)


sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(LINT))
import lint  # noqa: E402

if __name__ == "__main__":
    unittest.main()
