#!/usr/bin/env python3
"""Snapshots of `kiln train`: whatever interrupts a run, resuming it ends with the same bytes.

KILN_KILLS says how many kills at random moments there are (default 12).
"""

import os
import pathlib
import random
import re
import signal
import subprocess
import time
import unittest

from cli import KILN
from train_cli import TrainTest

KILLS = int(os.environ.get("KILN_KILLS", "12"))
HERE = pathlib.Path(__file__).parent


class ResumeTest(TrainTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        faults = cls.folder / "faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", faults,
                        HERE / "write_faults.c", "-ldl"], check=True)
        # A sanitizer's runtime has to come first, where the command is built with one.
        linked = subprocess.run(["ldd", KILN], stdout=subprocess.PIPE, text=True, check=True).stdout
        cls.faults = ":".join([*re.findall(r"lib[at]san\S* => (\S+)", linked), str(faults)])

    def snapshots(self, run):
        return sorted((self.folder / run).glob("*.snapshot"))

    def long(self, run, *more, **how):
        """A run of a second or so."""
        return self.arguments("--snapshot-dir", run, "--snapshot-every", 50, "-o", f"{run}.kir",
                              "--optimizer", "adam", *more, epochs=40, rate=0.001)

    def result(self, run):
        return (self.folder / f"{run}.kir").read_bytes()

    def unbroken(self):
        if not (self.folder / "unbroken.kir").exists():
            self.kiln(*self.long("unbroken"))
        return self.result("unbroken")

    def start(self, *arguments, **environment):
        return subprocess.Popen([KILN, *map(str, arguments)], cwd=self.folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**self.environment, **environment})

    def wait_for_snapshot(self, process, run):
        while not self.snapshots(run) and process.poll() is None:
            time.sleep(0.005)

    def test_kills_at_random_moments_change_nothing(self):
        expected = self.unbroken()
        generator = random.Random(5)
        kills = 0
        rounds = 0
        while kills < KILLS:
            run = f"killed{rounds}"
            rounds += 1
            delays = 0
            while True:
                threads, prefetch = generator.choice([1, 2]), generator.choice([0, 8])
                process = self.start(*self.long(run, "--resume", "--threads", threads,
                                                "--prefetch", prefetch))
                try:
                    process.communicate(timeout=generator.uniform(0.1, 0.9) + delays)
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    kills += 1
                    delays += 0.05
            self.assertEqual(process.returncode, 0)
            self.assertEqual(self.result(run), expected)
        self.assertGreater(kills, 0)

    def test_a_kill_at_every_write_of_a_snapshot_changes_nothing(self):
        expected = self.unbroken()
        count = self.folder / "count"
        counted = self.start(*self.long("counted"), LD_PRELOAD=self.faults,
                             COUNT_FILE=str(count))
        counted.communicate()
        self.assertEqual(counted.returncode, 0)
        calls = int(count.read_text())
        self.assertGreater(calls, 40)
        # The calls of one snapshot in the middle, where an old one is removed as well; all of them
        # when many kills are asked for.
        per_snapshot = calls // 40
        first = calls // 2
        for call in range(1, calls) if KILLS >= 200 else range(first, first + 2 * per_snapshot):
            run = f"write{call}"
            process = self.start(*self.long(run), LD_PRELOAD=self.faults, KILL_AT=str(call))
            process.communicate()
            self.assertEqual(process.returncode, -signal.SIGKILL)
            self.kiln(*self.long(run, "--resume"))
            self.assertEqual(self.result(run), expected, f"killed at call {call}")
            self.assertEqual(list((self.folder / run).glob("*.tmp")), [])

    def test_a_torn_snapshot_is_passed_over(self):
        expected = self.unbroken()
        process = self.start(*self.long("torn", "--keep", 5))
        while len(self.snapshots("torn")) < 3 and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        *_, older, newest = self.snapshots("torn")
        whole = newest.read_bytes()
        newest.write_bytes(whole[:len(whole) // 2])
        changed = bytearray(older.read_bytes())
        changed[len(changed) // 2] ^= 1
        older.write_bytes(changed)
        done = self.call(*self.long("torn", "--resume"))
        self.assertEqual(done.returncode, 0, done.stderr)
        for file in (newest, older):
            self.assertIn(f"{file.name}: is not whole and is passed over", done.stderr)
        self.assertIn("resumed at step", done.stderr)
        self.assertEqual(self.result("torn"), expected)

    def test_interrupts_leave_a_snapshot(self):
        expected = self.unbroken()
        for number, before in ((signal.SIGINT, signal.SIG_DFL), (signal.SIGINT, signal.SIG_IGN),
                               (signal.SIGTERM, signal.SIG_DFL)):
            run = f"interrupted{number}{before.name}"
            old = signal.signal(number, before)
            process = self.start(*self.long(run))
            signal.signal(number, old)
            self.wait_for_snapshot(process, run)
            process.send_signal(number)
            _, errors = process.communicate()
            self.assertEqual(process.returncode, -number, errors)
            stopped = [line for line in errors.splitlines() if "stopped at step" in line]
            self.assertEqual(len(stopped), 1, errors)
            step = int(stopped[0].split("step ")[1].split(";")[0])
            self.assertEqual(self.snapshots(run)[-1].name, f"step-{step:09}.snapshot")
            self.kiln(*self.long(run, "--resume"))
            self.assertEqual(self.result(run), expected)

    def test_a_hangup_writes_a_snapshot_and_goes_on(self):
        expected = self.unbroken()
        run = "hangup"
        process = self.start(*self.arguments("--snapshot-dir", run, "--snapshot-every", 1000000,
                                             "-o", f"{run}.kir", "--optimizer", "adam", epochs=40,
                                             rate=0.001))
        while not (self.folder / run / "metrics.csv").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGHUP)
        process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(self.snapshots(run)), 2)
        self.assertEqual(self.result(run), expected)

    def test_old_snapshots_go_and_the_best_stays(self):
        self.kiln(*self.long("kept", "--keep", 2, "--keep-best"))
        steps = [int(path.stem.split("-")[1]) for path in self.snapshots("kept")]
        self.assertLessEqual(len(steps), 3)
        self.assertEqual(steps[-1], 40 * 403 // 8)
        rows = [line.split(",") for line in
                (self.folder / "kept" / "metrics.csv").read_text().splitlines()[1:]]
        tests = [(float(row[5]), -int(row[0])) for row in rows if row[5]]
        self.assertEqual(len(tests), 40)
        self.assertIn(-max(tests)[1], steps)

    def test_a_full_disk_loses_nothing(self):
        process = self.start(*self.long("full"), LD_PRELOAD=self.faults, FULL_FROM="20",
                             FOLDER=str(self.folder / "full"))
        _, errors = process.communicate()
        self.assertEqual(process.returncode, 1, errors)
        lines = [line for line in errors.splitlines() if line.startswith("kiln: error: ")]
        self.assertEqual(len(lines), 1, errors)
        self.assertIn("No space left on device", lines[0])
        self.assertGreater(len(self.snapshots("full")), 0)
        self.assertEqual(list((self.folder / "full").glob("*.tmp")), [])
        self.kiln(*self.long("full", "--resume"))
        self.assertEqual(self.result("full"), self.unbroken())
        metrics = (self.folder / "full" / "metrics.csv").read_text().splitlines()
        whole = (self.folder / "unbroken" / "metrics.csv").read_text().splitlines()
        self.assertEqual([line.split(",")[:7] for line in metrics],
                         [line.split(",")[:7] for line in whole])

    def test_an_unwritable_folder_is_an_error_before_the_start(self):
        self.write("file", b"")
        error = self.fails(*self.arguments("--snapshot-dir", "file/run"))
        self.assertIn("file/run: Not a directory", error)

    def test_what_does_not_belong_together_is_refused(self):
        self.train("--snapshot-dir", "once", epochs=1)
        error = self.fails(*self.arguments("--snapshot-dir", "once"))
        self.assertIn("once: holds snapshots of an earlier run; --resume goes on from them", error)
        error = self.fails(*self.arguments("--snapshot-dir", "once", "--resume", "--seed", 2))
        self.assertIn("the run had seed 1, now it is 2", error)
        error = self.fails(*self.arguments("--snapshot-dir", "once", "--resume", "--optimizer",
                                           "adam"))
        self.assertIn("holds the parameters of another model or solver", error)
        self.train("--snapshot-dir", "once", "--resume", epochs=2)

    def test_one_run_at_a_time(self):
        process = self.start(*self.long("shared"))
        self.wait_for_snapshot(process, "shared")
        error = self.fails(*self.long("shared", "--resume"))
        process.kill()
        process.communicate()
        self.assertIn("shared: is in use by another run", error)


if __name__ == "__main__":
    unittest.main()
