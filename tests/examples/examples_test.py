#!/usr/bin/env python3
"""Goal: the examples do what they say, since people copy them.

Method: run the programs as a user would, in folders of their own, over trees with every kind of name and
entry that a file system allows. After each test no process and no temporary file may be left behind.

The programs are named by the environment, as tests/examples/CMakeLists.txt does it: MINIMAL and so on. It
sees to it that each has a class here, DeadLetters for dead_letters.
"""

import os
import re
import signal
import subprocess
import tempfile
import unittest

FILES = {
    b"plain": b"hello",
    b"empty": b"",
    b"big": bytes(range(256)) * 4096,
    b"with space/a  b ": b"1",
    b"new\nline/x\ny": b"2",
    b"\xff\xfe/\x80z": b"3",
    "\u00fc/\u00df".encode(): b"4",
    b"back\\slash": b"5",
    b"-n": b"6",
    b"*": b"7",
    # A path that is longer than any key may be.
    b"/".join([b"d" * 200] * 3): b"8",
}
# As the demo prints it, and why.
DEAD = {
    "dang\\nling": "dangling link: No such file or directory",
    "loop": "Too many levels of symbolic links",
    "pipe": "not a regular file",
    "zero": "not a regular file",
}
# Of the dead, `find` takes the dangling link alone for a file.
DEAD_FILES = 1


def make_tree(root):
    """Returns how many files are in it, links to files included."""
    for name, content in FILES.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    os.makedirs(os.path.join(root, b"nothing in it"))
    os.symlink(b"plain", os.path.join(root, b"link"))
    os.symlink(b".", os.path.join(root, b"folder link"))
    os.symlink(b"nowhere", os.path.join(root, b"dang\nling"))
    os.symlink(b"loop", os.path.join(root, b"loop"))
    os.symlink(b"/dev/zero", os.path.join(root, b"zero"))
    os.mkfifo(os.path.join(root, b"pipe"))
    return len(FILES) + 1


class Example(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="holdfast-examples-")
        self.addCleanup(folder.cleanup)
        self.folder = os.fsencode(folder.name)
        self.temporary = os.path.join(self.folder, b"tmp")
        self.tree = os.path.join(self.folder, b"tree of\nmine")
        os.mkdir(self.temporary)
        os.mkdir(self.tree)

    def start(self, *arguments):
        environment = {**os.environb, b"TMPDIR": self.temporary}
        # A session of its own: what it leaves behind can be found by the group.
        return subprocess.Popen(
            arguments, cwd=self.folder, env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def end(self, process):
        output = process.communicate()[0].decode()
        with self.assertRaises(ProcessLookupError, msg="a process is left behind"):
            os.killpg(process.pid, 0)
        self.assertEqual(os.listdir(self.temporary), [], output)
        return process.returncode, output

    def run_it(self, *arguments):
        return self.end(self.start(*arguments))


class Minimal(Example):
    def test_each_run_handles_the_one_event_it_publishes(self):
        for _ in range(2):
            self.assertEqual(self.run_it(os.environ["MINIMAL"]), (0, "mail: one kettle\n"))

    def test_says_why_it_cannot_open(self):
        with open(os.path.join(self.folder, b"journal"), "w", encoding="ascii"):
            pass
        status, output = self.run_it(os.environ["MINIMAL"])
        self.assertEqual(status, 1)
        self.assertIn("invalid_argument: ", output)


class Priorities(Example):
    def test_shows_strict_order_ageing_and_a_reserved_worker(self):
        self.assertEqual(self.run_it(os.environ["PRIORITIES"]), (0, (
            "strict:   critical high normal low\n"
            "ageing:   critical low high normal\n"
            "reserved: a critical event was handled while a low one was\n")))


class Replay(Example):
    def test_replays_everything_and_rewinds_to_the_last(self):
        cities = ("Oslo", "Lima", "Kyoto")
        expected = [f"replay: {city}" for city in cities] + [f"first: {city}" for city in cities]
        expected += ["owed again: 1", "again: Kyoto"]
        self.assertEqual(self.run_it(os.environ["REPLAY"]), (0, "\n".join(expected) + "\n"))


class Cancel(Example):
    def test_cancels_events_and_tokens_and_cleans_up(self):
        self.assertEqual(self.run_it(os.environ["CANCEL"]), (0, (
            "photo: too late\n"
            "song: prevented\n"
            "film: film.part is gone\n"
            "trip: 3 bookings prevented\n"
            "boat: cancelled\n"
            "reply: timed out\n"
            "ferry: prevented\n")))


class Schedule(Example):
    def test_gives_events_out_in_their_time_and_not_after_it(self):
        self.assertEqual(self.run_it(os.environ["SCHEDULE"]), (0, (
            "nap: prevented\n"
            "the hob is taken\n"
            "put the kettle on, attempt 1\n"
            "soup: expired\n"
            "the tea is ready, attempt 1\n")))


class Idempotent(Example):
    def test_publishes_nothing_twice(self):
        self.assertEqual(self.run_it(os.environ["IDEMPOTENT"]), (0, (
            "kettle: normal:1\n"
            "teapot: normal:2\n"
            "kettle: normal:1, there already\n"
            "teapot: normal:2, there already\n"
            "cup: normal:3\n"
            "invoice for cup: there already\n")))


class Operation(Example):
    """One step fails, and what the others did is undone in reverse."""

    def test_rolls_back(self):
        self.assertEqual(self.run_it(os.environ["OPERATION"]), (0, (
            "do deploy.copy\ndo deploy.switch\ndo deploy.check\n"
            "undo deploy.check\nundo deploy.switch\nundo deploy.copy\n"
            "the deploy is rolled back: normal:3 was given up by \"deployer\": "
            "the new version does not answer\n")))


class Composite(Example):
    """It is begun in one run, which dies, and goes on in the next; a third has nothing left to do."""

    PICNIC = "undone: boat\nundone: meadow\npicnic: rolled back, it rains\n"

    def test_goes_on_where_the_process_died(self):
        self.assertEqual(self.run_it(os.environ["COMPOSITE"]), (3, (
            "trip 7: begun\n"
            "flight: added, booked by attempt 1\n"
            "hotel: the process dies\n")))
        self.assertEqual(self.run_it(os.environ["COMPOSITE"]), (0, (
            "trip 7: found\n"
            "flight: there already, booked by attempt 1\n"
            "hotel: there already, booked by attempt 2\n"
            "car: added, booked by attempt 1\n"
            "trip 7: committed\n" + self.PICNIC)))
        self.assertEqual(self.run_it(os.environ["COMPOSITE"]), (0, (
            "trip 7: found\n"
            "flight: there already, booked by attempt 1\n"
            "hotel: there already, booked by attempt 2\n"
            "car: there already, booked by attempt 1\n"
            "trip 7: committed\n" + self.PICNIC)))


class DeadLetters(Example):
    def test_tells_why_and_gives_one_back(self):
        self.assertEqual(self.run_it(os.environ["DEAD_LETTERS"]), (0, (
            "given up:\n"
            '  normal:1 "", attempts: 1, nothing on it\n'
            '  normal:2 "a poem", attempts: 3, no paper\n'
            "redriven: 1\n"
            "a poem: printed by attempt 1\n"
            "suspect: normal:3, attempt 1\n"
            "suspect: normal:3, attempt 2\n"
            "suspect: normal:3, attempt 3, given up\n"
            "given up:\n"
            '  normal:1 "", attempts: 1, nothing on it\n'
            '  normal:3 "a bomb", attempts: 3, the process ended while its handler was running\n'
            "a map: printed by attempt 1\n")))


class Torture(Example):
    def test_kills_a_handler_over_and_over_and_finds_its_effect_whole(self):
        status, output = self.run_it(os.environ["TORTURE"], "here")
        self.assertEqual(status, 0, output)
        self.assertRegex(output, r"^\d+ kills, \d+ events confirmed, 0 violations\n$")

    def test_says_how_it_is_used(self):
        self.assertEqual(self.run_it(os.environ["TORTURE"]), (2, "usage: torture FOLDER\n"))


class Shutdown(Example):
    def test_waits_for_handlers_and_keeps_what_they_have_not_done(self):
        self.assertEqual(self.run_it(os.environ["SHUTDOWN"]), (0, (
            "copier: stops for the shutdown\n"
            'drain: deadline_exceeded: handlers still run: normal:2 in "scanner"\n'
            "closed: unavailable\n"
            "opened: closed properly, suspects: 0, the page is settled\n"
            "copier: a film, attempt 1\n"
            "copier: a song, attempt 1\n")))


class Async(Example):
    def test_answers_come_without_anybody_waiting(self):
        self.assertEqual(self.run_it(os.environ["ASYNC"]), (0, (
            "refused: invalid_argument\n"
            "stored: 3\n"
            "jug: prevented\n"
            "vase: prevented\n"
            "fired: a plate\n")))


class Inspect(Example):
    def test_tells_what_is_in_the_journal(self):
        self.assertEqual(self.run_it(os.environ["INSPECT"]), (0, (
            "open: by us\n"
            "high:1, a cup: ready\n"
            "normal:2, a unicorn: dead\n"
            "a unicorn in shop: dead after 1 attempt, there are none\n"
            "high: 1 published, 1 ready, 0 dead, 0 unclaimed\n"
            "normal: 3 published, 0 ready, 1 dead, 1 unclaimed\n"
            "acked in this run: 1\n"
            "in the view: no, on the bus: unclaimed\n")))


class Ordering(Example):
    def test_handles_what_has_one_key_in_order(self):
        self.assertEqual(self.run_it(os.environ["ORDERING"]), (0, (
            "second withdrawal: conflict\n"
            "account.deposit: try again\n"
            "account.deposit\n"
            "account.withdrawal\n")))


class Pause(Example):
    def test_holds_a_type_and_lets_the_others_go_on(self):
        self.assertEqual(self.run_it(os.environ["PAUSE"]), (0, (
            "order.paid.parcel: one kettle\n"
            "paused: order.*.mail, the mail is paused\n"
            "order.paid.mail: thank you\n")))


class Timeout(Example):
    def test_asks_a_slow_handler_to_stop_while_others_go_on(self):
        self.assertEqual(self.run_it(os.environ["TIMEOUT"]), (0, (
            "running: reports, 50 % (page 5 of 10), over its time\n"
            "mail: sent meanwhile\n"
            "attempt 1: over its time\n"
            "attempt 2: done\n"
            "quote: taken from attempt 1, settled\n"
            "quote: still settled\n")))


class Batch(Example):
    def test_writes_all_or_nothing(self):
        status, output = self.run_it(os.environ["BATCH"])
        self.assertEqual(status, 0, output)
        error, *rest = output.splitlines()
        self.assertRegex(error, "^invalid_argument: event 1 of the batch: type ")
        self.assertEqual(rest, [
            "0 events", "2 events, 2 receipts", "kettles: 6", "kettles: 6", "picked: 2"])


class Batches(Example):
    def test_handles_events_together_and_answers_for_each(self):
        status, output = self.run_it(os.environ["BATCHES"])
        self.assertEqual(status, 0, output)
        self.assertEqual(sorted(output.splitlines()[:2]), [
            "photo 1: invalid_argument", "uploading 3 photos"])
        self.assertEqual(output.splitlines()[2:], [
            "stored: 2", "given up: normal:2, nothing in it"])


class Migration(Example):
    """Its text is held to docs/migration.md by tests/lint/docs.py; here each part does what it says."""

    def test_both_buses_do_the_same_and_ours_does_more(self):
        status, output = self.run_it(os.environ["MIGRATION"])
        self.assertEqual(status, 0, output)
        before, after = output.split("--\n")
        self.assertEqual(before.splitlines(), [
            "mail: one kettle", "bell: kitchen", "mail: three spoons", "orders: 1", "book: flight",
            "remind: tea"])
        self.assertEqual(after.splitlines(), [
            "mail: one kettle", "not published: invalid_argument", "bell: kitchen",
            "mail: one kettle", "mail: two cups", "mail: three spoons",
            "given up: normal:4, an order of nothing", "orders: 1",
            "trip: 2 prevented, 0 asked to stop, 0 too late", "picked: 2", "remind: tea",
            "sync: done"])


class Worker(Example):
    def work(self, tree):
        return self.run_it(os.environ["INDEXER"], "work", b"journal", tree)

    def test_goes_on_where_it_was_and_finds_nothing_left(self):
        count = make_tree(self.tree)
        status, output = self.work(self.tree)
        self.assertEqual(status, 0, output)
        self.assertTrue(output.startswith("open 0 0\n"), output)
        self.assertTrue(output.endswith(f"progress {count + len(DEAD)} 0\ndone\n"), output)
        status, output = self.work(self.tree)
        self.assertEqual(status, 0, output)
        self.assertEqual(output, f"open 0 0\nprogress {count + len(DEAD)} 0\ndone\n")

    def test_refuses_the_journal_of_another_tree(self):
        self.work(self.tree)
        status, output = self.work(self.folder)
        self.assertEqual(status, 1)
        self.assertIn("this journal is the index of", output)

    def test_publishes_a_large_folder_in_pages(self):
        count = 4500
        for i in range(count):
            with open(os.path.join(self.tree, b"%d" % i), "w", encoding="ascii") as file:
                file.write(str(i))
        status, output = self.work(self.tree)
        self.assertEqual(status, 0, output)
        self.assertTrue(output.endswith(f"progress {count} 0\ndone\n"), output[-200:])


class Demo(Example):
    def row(self, output, name):
        return int(re.search(rf"^  {name} +(\d+)", output, re.M).group(1))

    def demo(self, *arguments):
        return self.start(os.environ["INDEXER"], "demo", "--seed", "1", *arguments)

    def test_all_agree_whatever_the_names(self):
        count = make_tree(self.tree)
        status, output = self.end(self.demo(self.tree))
        self.assertEqual(status, 0, output)
        self.assertEqual(self.row(output, "files"), count + DEAD_FILES, output)
        self.assertEqual(self.row(output, "identical"), count)
        self.assertEqual(self.row(output, "unreadable"), DEAD_FILES)
        self.assertEqual(self.row(output, "sum of counts"), count)
        for wrong in ("different", "missing", "counted twice"):
            self.assertEqual(self.row(output, wrong), 0)
        for name, reason in DEAD.items():
            self.assertRegex(output, re.escape(f"/{name}: {reason}\n"))
        self.assertIn(f"dead letters: {len(DEAD)}\n", output)
        hits = re.findall(r"^kill \d+ after \d+ of \d+ files: handlers running ([1-9]\d*),", output, re.M)
        self.assertGreaterEqual(len(hits), 3)
        self.assertNotIn("\x1b", output)

    def test_tells_what_came_while_it_ran(self):
        make_tree(self.tree)
        process = self.demo(self.tree)
        # Its second look at the tree comes after all the kills.
        self.assertIn(b"indexing ", process.stdout.readline())
        with open(os.path.join(self.tree, b"late"), "w", encoding="ascii"):
            pass
        status, output = self.end(process)
        self.assertEqual(status, 1, output)
        self.assertEqual(self.row(output, "changed"), 1)
        self.assertIn("/late\n", output)

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_what_may_not_be_read_is_a_dead_letter(self):
        make_tree(self.tree)
        secret = os.path.join(self.tree, b"secret")
        os.mkdir(secret)
        os.chmod(secret, 0)
        os.chmod(os.path.join(self.tree, b"plain"), 0)
        status, output = self.end(self.demo(self.tree))
        self.assertEqual(status, 0, output)
        self.assertRegex(output, r"walker high:\d+ .*/secret: Permission denied\n")
        self.assertRegex(output, r"hasher normal:\d+ .*/plain: Permission denied\n")

    def test_cleans_up_when_interrupted(self):
        make_tree(self.tree)
        process = self.demo(self.tree)
        while b"kill 1 " not in (line := process.stdout.readline()):
            self.assertTrue(line, "it ended before it was killed once")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(process)[0], 130)

    def test_an_empty_tree_shows_nothing(self):
        status, output = self.end(self.demo(self.tree))
        self.assertEqual(status, 1)
        self.assertIn("nothing to index", output)

    def test_says_what_is_no_folder(self):
        status, output = self.end(self.demo(b"nowhere"))
        self.assertEqual(status, 1)
        self.assertIn("No such file or directory", output)
        self.assertEqual(self.end(self.demo("--nonsense"))[0], 2)


if __name__ == "__main__":
    unittest.main()
