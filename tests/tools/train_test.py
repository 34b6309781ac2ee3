#!/usr/bin/env python3
"""`kiln train`: what it reads, says and leaves. Resuming is in resume_test.py."""

import csv
import ctypes
import json
import random
import struct
import subprocess
import sys
import unittest
import zipfile
import zlib
from array import array

from cli import Message, npy
from train_cli import SIDE, TrainTest, mlp, picture

try:
    import onnxruntime
except ImportError:
    onnxruntime = None
try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    EventAccumulator = None


def png(width, height, pixels):
    """A grey PNG."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    rows = b"".join(b"\0" + bytes(pixels[y * width:(y + 1) * width]) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_lmdb(folder, entries):
    """False when there is no liblmdb."""
    try:
        lmdb = ctypes.CDLL("liblmdb.so.0")
    except OSError:
        return False

    class Value(ctypes.Structure):
        _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_char_p)]

    environment, transaction, index = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint()
    folder.mkdir()
    assert lmdb.mdb_env_create(ctypes.byref(environment)) == 0
    assert lmdb.mdb_env_set_mapsize(environment, ctypes.c_size_t(1 << 24)) == 0
    assert lmdb.mdb_env_open(environment, str(folder).encode(), 0, 0o644) == 0
    assert lmdb.mdb_txn_begin(environment, None, 0, ctypes.byref(transaction)) == 0
    assert lmdb.mdb_dbi_open(transaction, None, 0, ctypes.byref(index)) == 0
    for key, value in entries:
        assert lmdb.mdb_put(transaction, index, ctypes.byref(Value(len(key), key)),
                            ctypes.byref(Value(len(value), value)), 0) == 0
    assert lmdb.mdb_txn_commit(transaction) == 0
    lmdb.mdb_env_close(environment)
    return True


SOLVER_NET = """
name: "quadrants"
layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 } data_param { source: "nowhere" batch_size: 8 backend: LMDB } }
layer { name: "test" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.00390625 } data_param { source: "nowhere" batch_size: 25 backend: LMDB } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
  param { lr_mult: 1 } param { lr_mult: 2 }
  inner_product_param { num_output: 16 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "ip1" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "drop" type: "Dropout" bottom: "bn" top: "bn" dropout_param { dropout_ratio: 0.1 } }
layer { name: "ip2" type: "InnerProduct" bottom: "bn" top: "ip2"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""

SOLVER = """
net: "elsewhere/net.prototxt"
test_iter: 4
test_interval: 100
base_lr: 0.05
momentum: 0.9
weight_decay: 0.0005
lr_policy: "multistep"
gamma: 0.1
stepvalue: 150
stepvalue: 250
display: 50
average_loss: 10
max_iter: 300
iter_size: 2
snapshot: 100
snapshot_prefix: "quadrants"
solver_mode: GPU
type: "Nesterov"
random_seed: 7
"""


class WhatIsTrained(TrainTest):

    def pictures(self, count, seed):
        generator = random.Random(seed)
        labels = [generator.randrange(4) for _ in range(count)]
        return labels, [picture(generator, label) for label in labels]

    def learns(self, *arguments, least=0.9):
        final = self.final(self.kiln("train", *arguments, "--lr", "0.05"))
        self.assertGreater(final["test_accuracy"], least)
        return final

    def test_idx(self):
        output = self.train(epochs=6)
        self.assertGreater(self.final(output)["test_accuracy"], 0.95)
        tests = [line for line in output.splitlines() if line.startswith("step ")]
        self.assertEqual(len(tests), 6)
        for key in ("loss=", "rate=0.05", "test_accuracy=", "test_top5=1.0000", "test_loss="):
            self.assertIn(key, tests[-1])

    def test_the_same_run_gives_the_same_weights(self):
        results = []
        for number, extra in enumerate((("--threads", 1), ("--threads", 2, "--prefetch", 0),
                                        ("--seed", 2))):
            self.train("-o", f"same{number}.kir", *extra, epochs=2)
            results.append((self.folder / f"same{number}.kir").read_bytes())
        self.assertEqual(results[0], results[1])
        self.assertNotEqual(results[0], results[2])

    def test_csv_with_labels(self):
        labels, pictures = self.pictures(400, 1)
        lines = ["first,second"] + [",".join(map(str, [*pixels, label]))
                                    for label, pixels in zip(labels, pictures)]
        path = self.write("labels.csv", "\n".join(lines).encode())
        flat = self.write("flat.onnx", mlp())
        self.learns(flat, "--data", f"csv:{path}", "--scale", "0.004", "--epochs", 10)

    def test_csv_with_targets(self):
        generator = random.Random(4)
        lines = []
        for _ in range(300):
            x, y = generator.uniform(-1, 1), generator.uniform(-1, 1)
            lines.append(f"{x},{y},{0.5 * x - y},{x + y}")
        path = self.write("targets.csv", "\n".join(lines).encode())
        net = self.write("regress.onnx", mlp(classes=2, inputs=2))
        for loss in ("mse", "euclidean", "l1", "huber"):
            output = self.kiln("train", net, "--data", f"csv:{path}", "--targets", 2, "--loss", loss,
                               "--epochs", 30, "--lr", "0.05")
            final = self.final(output)
            self.assertLess(final["test_loss"], 0.07, loss)
            self.assertNotIn("test_accuracy", output)

    def test_every_loss_with_labels(self):
        for loss in ("softmax-cross-entropy", "sigmoid-cross-entropy", "mse", "hinge", "hinge-l2"):
            self.learns(self.net, "--data", f"idx:{self.data}", "--loss", loss, "--epochs", 6)

    def test_npz(self):
        labels, pictures = self.pictures(300, 2)
        flat = [pixel for pixels in pictures for pixel in pixels]
        path = self.folder / "quadrants.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", npy((300, SIDE, SIDE), flat, "|u1", "B"))
            archive.writestr("y.npy", npy((300,), labels, "<i8", "q"))
        self.learns(self.net, "--data", f"npz:{path}", "--epochs", 8)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", npy((300, SIDE, SIDE), flat, "|u1", "B"))
        self.assertIn("holds no array 'y'",
                      self.fails("train", self.net, "--data", f"npz:{path}"))
        self.write("damaged.npz", path.read_bytes()[:200])
        self.assertIn("damaged.npz", self.fails("train", self.net, "--data", "npz:damaged.npz"))

    def test_cifar10(self):
        generator = random.Random(3)

        def record(label):
            level = 25 * label
            return bytes([label] + [min(255, level + generator.randrange(20))] * 3072)

        for part, count in (("data_batch_1", 200), ("data_batch_2", 200), ("test_batch", 50)):
            self.write(f"cifar/{part}.bin",
                       b"".join(record(generator.choice([0, 9])) for _ in range(count)))
        net = self.write("cifar.onnx", mlp(classes=10, inputs=3072, shape=(3, 32, 32)))
        self.kiln("train", net, "--data", f"cifar10:{self.folder / 'cifar'}", "--epochs", 2,
                  "--lr", "0.001", "--mirror", "--mean", "100,100,100")
        self.write("cifar/test_batch.bin", b"123")
        error = self.fails("train", net, "--data", f"cifar10:{self.folder / 'cifar'}")
        self.assertIn("expected records of 3073 bytes, found 3 bytes", error)

    def test_image_folders(self):
        labels, pictures = self.pictures(240, 6)
        for number, (label, pixels) in enumerate(zip(labels, pictures)):
            self.write(f"images/class{label}/{number}.png", png(SIDE, SIDE, pixels))
        self.learns(self.net, "--data", f"images:{self.folder / 'images'}", "--grey",
                    "--epochs", 12)
        self.write("images/class0/broken.png", b"\x89PNG\r\n\x1a\nnothing")
        error = self.fails("train", self.net, "--data", f"images:{self.folder / 'images'}",
                           "--grey", "--epochs", 2)
        self.assertIn("class0/broken.png", error)

    def test_lmdb(self):
        labels, pictures = self.pictures(240, 7)
        entries = []
        for number, (label, pixels) in enumerate(zip(labels, pictures)):
            datum = (Message().integer(1, 1).integer(2, SIDE).integer(3, SIDE)
                     .data(4, bytes(pixels)).integer(5, label))
            entries.append((f"{number:08}".encode(), b"".join(datum.chunks)))
        if not write_lmdb(self.folder / "lmdb", entries):
            self.skipTest("no liblmdb")
        self.learns(self.net, "--data", f"lmdb:{self.folder / 'lmdb'}", "--epochs", 10)
        # An unknown field makes the entries so large that each has pages of its own.
        padded = [(key, value + b"".join(Message().data(99, bytes(6000)).chunks))
                  for key, value in entries]
        write_lmdb(self.folder / "large", padded)
        weights = []
        for name in ("lmdb", "large"):
            self.kiln("train", self.net, "--data", f"lmdb:{self.folder / name}", "--epochs", 2,
                      "-o", f"{name}.kir")
            weights.append((self.folder / f"{name}.kir").read_bytes())
        self.assertEqual(*weights)
        self.assertIn("No such file",
                      self.fails("train", self.net, "--data", "lmdb:nowhere"))

    def test_damaged_lmdb(self):
        if not write_lmdb(self.folder / "whole", [(b"%d" % n, b"\x08\x01") for n in range(2000)]):
            self.skipTest("no liblmdb")
        whole = (self.folder / "whole" / "data.mdb").read_bytes()
        self.write("cut/data.mdb", whole[:len(whole) // 2])
        for name, expected in (("whole", "a Datum of [1,0,0] holds 0 numbers"),
                               ("cut", "the database is damaged: "),
                               ("cut/data.mdb", "the database is damaged: ")):
            path = self.folder / name
            self.assertIn(f"{path}: {expected}",
                          self.fails("train", self.net, "--data", f"lmdb:{path}"))
        text = self.write("text", b"no database" * 1000)
        self.assertIn(f"{text}: is no LMDB database",
                      self.fails("train", self.net, "--data", f"lmdb:{text}"))

    def test_another_set_to_test_with(self):
        output = self.train("--test-data", f"idx:{self.data}", epochs=1)
        self.final(output)

    def test_what_does_not_fit_is_said(self):
        flat = self.write("other.onnx", mlp(inputs=7))
        error = self.fails("train", flat, "--data", f"idx:{self.data}")
        self.assertIn("input 'x': the data set gives f32[1,6,6] an item, and the model takes f32[8,7]", error)
        error = self.fails("train", self.net, "--data", "idx:/nowhere")
        self.assertIn("/nowhere/train-images-idx3-ubyte", error)
        error = self.fails("train", self.net, "--data", "tapes:x")
        self.assertIn("KIND is one of idx, ", error)
        error = self.fails("train", self.net, "--data", f"idx:{self.data}", "--crop", 7)
        self.assertIn("a crop of 7 from images of 6x6", error)
        for output in ("no/such/model.kir", self.folder):
            done = self.call("train", self.net, "--data", f"idx:{self.data}", "-o", output)
            self.assertEqual((done.returncode, done.stdout), (1, ""))  # before any training

    def test_padded_images_move_about(self):
        self.assertGreater(self.final(self.train("--pad", 1))["test_accuracy"], 0.9)
        plain, padded, cropped = (self.final(self.train(*how, epochs=1))["test_loss"] for how in
                                  ((), ("--pad", 1), ("--pad", 1, "--crop", 6)))
        self.assertEqual(padded, cropped)
        self.assertNotEqual(padded, plain)


class HowItIsTrained(TrainTest):

    def test_solver_file(self):
        net = self.write("solver_net.prototxt", SOLVER_NET.encode())
        solver = self.write("solver.prototxt", SOLVER.encode())
        done = self.call("train", net, "--data", f"idx:{self.data}", "--solver", solver,
                         "--snapshot-dir", "solved")
        self.assertEqual(done.returncode, 0, done.stderr)
        final = self.final(done.stdout)
        self.assertGreater(final["test_accuracy"], 0.9)
        tests = [line for line in done.stdout.splitlines() if line.startswith("step ")]
        self.assertEqual([line.split()[1] for line in tests], ["0", "100", "200", "300"])
        rates = [line.split("rate=")[1].split()[0] for line in tests]
        self.assertEqual(rates, ["0.05", "0.05", "0.005", "0.0005"])
        shown = [line for line in done.stderr.splitlines() if line.startswith("kiln: step ")]
        self.assertEqual(len(shown), 6)
        steps = sorted(int(path.stem.split("-")[1])
                       for path in (self.folder / "solved").glob("*.snapshot"))
        self.assertEqual(steps, [100, 200, 300])
        self.assertIn("seed 7", done.stderr)

    def test_options_override_the_solver(self):
        net = self.write("solver_net.prototxt", SOLVER_NET.encode())
        solver = self.write("solver.prototxt", SOLVER.encode())
        output = self.kiln("train", net, "--data", f"idx:{self.data}", "--solver", solver,
                           "--max-steps", 20, "--lr", "0.125", "--test-every", 10)
        tests = [line for line in output.splitlines() if line.startswith("step ")]
        self.assertEqual([line.split()[1] for line in tests], ["0", "10", "20"])
        self.assertIn("rate=0.125", tests[-1])

    def test_bad_solvers(self):
        for text, message in (
                ('base_lr: 0.1 lr_policy: "sideways"', "lr_policy: there is no policy"),
                ('base_lr: 0.1 type: "Newton"', "type: there is no solver"),
                ('base_lr: 0.1 momentum: 1.5', "momentum must be from 0 to below 1"),
                ('base_lr: 0.1 lr_policy: "step"', "step_size must be at least 1"),
                ('lr_policy: "fixed"', "base_lr is missing"),
                ('base_lr: 0.1 regularization_type: "L3"', "expected L1 or L2"),
                ('base_lr: 0.1 nonsense: 3', "nonsense")):
            solver = self.write("bad.prototxt", text.encode())
            error = self.fails("train", self.net, "--data", f"idx:{self.data}", "--solver", solver)
            self.assertIn("bad.prototxt", error)
            self.assertIn(message, error)

    def test_a_loss_that_is_not_finite_names_the_first_bad_tensor(self):
        error = self.fails(*self.arguments("--threads", 1, rate="1e30"))
        self.assertRegex(error, r"the loss is -?(nan|inf) at step \d+; the first tensor that is not "
                                r"finite is \S+.*\(\w+, f32\[[0-9,]*\]\): -?(nan|inf)")
        path = self.write("nan.csv", b"1,2,0\n" * 40 + b"nan,2,1\n" + b"1,2,0\n" * 40)
        net = self.write("two.onnx", mlp(classes=2, inputs=2))
        error = self.fails("train", net, "--data", f"csv:{path}", "--hold-out", 0)
        self.assertIn("the first tensor that is not finite is x", error)

    def test_early_stop(self):
        output = self.kiln("train", self.net, "--data", f"idx:{self.data}", "--lr", "0",
                           "--epochs", 50, "--early-stop", 3)
        tests = [line for line in output.splitlines() if line.startswith("step ")]
        self.assertEqual(len(tests), 4)

    def test_keep_best_ends_with_the_best(self):
        output = self.train("--lr-policy", "exp", "--lr-gamma", "1.02", "--keep-best", epochs=12)
        best = max(float(line.split("test_accuracy=")[1].split()[0])
                   for line in output.splitlines() if line.startswith("step "))
        self.assertEqual(self.final(output)["test_accuracy"], best)

    def test_json(self):
        result = json.loads(self.kiln(*self.arguments("--json", epochs=2)))
        self.assertEqual(len([row for row in result["history"] if row["test_loss"] is not None]), 2)
        self.assertGreater(result["test_accuracy"], 0.25)

    def test_says_what_it_has_before_it_starts(self):
        done = self.call(*self.arguments(epochs=1))
        for text in ("660 trainable parameters", "of solver state", "train_step: ",
                     "403 items of [1,6,6] to train with, 101 to test with, 4 classes; seed 1"):
            self.assertIn(text, done.stderr)


class WhatIsLeft(TrainTest):

    def test_the_folder(self):
        output = self.train("--snapshot-dir", "left", epochs=3)
        folder = self.folder / "left"
        with open(folder / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        tested = [row for row in rows if row["test_accuracy"]]
        self.assertEqual(len(tested), 3)
        self.assertAlmostEqual(float(tested[-1]["test_accuracy"]),
                               self.final(output)["test_accuracy"], places=4)
        self.assertIn("<polyline", (folder / "curve.svg").read_text())
        report = (folder / "report.html").read_text()
        for text in ("Confusion matrix", "learning rate", "<svg", "quadrants"):
            self.assertIn(text, report)
        events = list(folder.glob("events.out.tfevents.*"))
        self.assertEqual(len(events), 1)
        self.check_records(events[0].read_bytes(), len(rows))

    def check_records(self, data, rows):
        """Lengths alone; event_file_test reads the rest."""
        records = 0
        while data:
            length = struct.unpack_from("<Q", data)[0]
            self.assertGreaterEqual(len(data), length + 16)
            data = data[length + 16:]
            records += 1
        self.assertGreater(records, rows)

    @unittest.skipIf(EventAccumulator is None, "no tensorboard")
    def test_tensorboard_reads_the_events(self):
        self.train("--snapshot-dir", "board", "--log-every", 10, epochs=2)
        with open(self.folder / "board" / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        events = EventAccumulator(str(self.folder / "board"))
        events.Reload()
        self.assertEqual(set(events.Tags()["scalars"]),
                         {"train/loss", "train/rate", "test/loss", "test/accuracy", "test/top5",
                          "items_per_second"})
        found = [(event.step, event.value) for event in events.Scalars("train/loss")]
        self.assertEqual([step for step, _ in found], [int(row["step"]) for row in rows])
        for (_, value), row in zip(found, rows):
            self.assertAlmostEqual(value, float(row["loss"]), places=5)

    def test_the_model_in_both_forms_computes_the_same(self):
        self.train("--snapshot-dir", "forms", "-o", "forms.kir", epochs=1)
        self.random_input(8, 1, SIDE, SIDE)
        source = f"x=input-8x1x{SIDE}x{SIDE}.npy"
        for name in ("forms/model.kiln", "forms/model.onnx", "forms.kir"):
            more = ("--batch", 8) if name.endswith("onnx") else ()
            self.kiln("run", name, "--input", source, "--output-dir", f"{name}.out", *more)
            self.assert_close(self.folder / "forms.kir.out" / "scores.npy"
                              if name == "forms.kir" else self.folder / f"{name}.out/scores.npy",
                              self.folder / f"{name}.out/scores.npy")
        self.assert_close(self.folder / "forms/model.kiln.out/scores.npy",
                          self.folder / "forms/model.onnx.out/scores.npy")
        self.assert_close(self.folder / "forms/model.kiln.out/scores.npy",
                          self.folder / "forms.kir.out/scores.npy")
        # For any batch.
        self.random_input(3, 1, SIDE, SIDE)
        self.kiln("run", "forms/model.onnx", "--batch", 3, "--input",
                  f"x=input-3x1x{SIDE}x{SIDE}.npy", "--output-dir", "three")

    @unittest.skipIf(onnxruntime is None, "no onnxruntime")
    def test_onnx_runtime_agrees(self):
        self.train("--snapshot-dir", "ort", epochs=1)
        self.random_input(8, 1, SIDE, SIDE)
        name = f"input-8x1x{SIDE}x{SIDE}.npy"
        self.kiln("run", "ort/model.kiln", "--input", f"x={name}", "--output-dir", "ort.out")
        import numpy
        session = onnxruntime.InferenceSession(str(self.folder / "ort/model.onnx"))
        expected = session.run(None, {"x": numpy.load(self.folder / name)})[0]
        found = numpy.load(self.folder / "ort.out/scores.npy")
        self.assertLess(abs(expected - found).max(), 1e-4)


if __name__ == "__main__":
    unittest.main()
