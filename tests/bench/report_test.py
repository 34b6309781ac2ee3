#!/usr/bin/env python3
"""The table and the chart of bench/compare, from results made by hand."""

import pathlib
import sys
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import report


def row(engine, median_ms, **more):
    values = {"engine": engine, "version": "1.0", "median_ms": median_ms, "p10_ms": median_ms * 0.9,
              "p90_ms": median_ms * 1.1, "cpu_share": 1.0, "disturbed": False, "session_ms": 12.0,
              "peak_memory_bytes": 50e6, "disk_bytes": 1e6, "error": 1e-6}
    if engine == "kiln":
        values.update(warm_session_ms=3.0, session_memory_bytes=80e6)
    values.update(more)
    return values


def case(net, threads, rows, failures=None):
    return {"net": net, "batch": 1, "threads": threads, "flops": 2e9, "peak_gflops": 100.0,
            "engines": {r["engine"]: r for r in rows}, "failures": failures or {}}


RESULTS = {"date": "2020-01-01", "cpu": "Some <CPU>", "cpus": 2, "command": "bench/compare",
           "rounds": 3, "seconds": 2.0, "cases": [
               case("a", 1, [row("kiln", 20.0), row("onnxruntime", 50.0), row("openvino", 40.0)]),
               case("b", 1, [row("kiln", 40.0, disturbed=True), row("torch", 20.0)],
                    {"openvino": "no such op"}),
               case("a", 2, [row("onnxruntime", 30.0)], {"kiln": "crashed"}),
           ]}


class ReportTest(unittest.TestCase):
    def test_ratio_is_to_the_fastest_peer(self):
        self.assertEqual(report.best_peer(RESULTS["cases"][0])["engine"], "openvino")
        self.assertEqual(report.ratio(RESULTS["cases"][0]), 0.5)
        self.assertIsNone(report.ratio(RESULTS["cases"][2]))

    def test_summary_has_geometric_means_and_gaps(self):
        lines = report.summary(RESULTS).splitlines()
        self.assertEqual(lines[0], "| Kiln / best peer | batch 1, 1 thread | batch 1, 2 threads |")
        self.assertEqual(lines[2:], ["| a | 0.50 |  |", "| b | 2.00 |  |",
                                     "| **geometric mean** | **1.00** |  |"])

    def test_details_tell_rate_share_and_disturbance(self):
        text = report.markdown(RESULTS)
        self.assertIn("| a | 1 | 1 | kiln | 20.00 | 18.00 | 22.00 | 100.0 | 100 % | 1.00 | "
                      "12 (3 warm) | 50.0 (80.0 compiling) | 1.0 | 1e-06 |", text)
        self.assertIn("| b | 1 | 1 | kiln | 40.00* |", text)
        self.assertIn("- b, batch 1, 1 threads: openvino: no such op", text)
        self.assertIn("| a | 1 | 2 | kiln | failed |", text)
        widths = {line.count("|") for line in report.details(RESULTS).splitlines()}
        self.assertEqual(len(widths), 1, "every row has a cell for every column")

    def test_chart_is_xml_with_a_bar_for_every_result(self):
        root = xml.etree.ElementTree.fromstring(report.svg(RESULTS))
        bars = [e for e in root.iter("{http://www.w3.org/2000/svg}rect")
                if e.get("height") == str(report.BAR - 1)]
        self.assertEqual(len(bars), 6)
        widths = sorted(float(bar.get("width")) for bar in bars)
        self.assertAlmostEqual(widths[-1] / widths[0], 2.5, places=1)  # 20 ms against 50 ms

    def test_training_compares_with_the_fastest_and_with_the_thriftiest(self):
        rows = [row("kiln", 6.0, peak_memory_bytes=12e6), row("eager", 30.0, peak_memory_bytes=40e6),
                row("compiled", 12.0, peak_memory_bytes=90e6)]
        for peer in rows:
            for key in ("disk_bytes", "warm_session_ms", "session_memory_bytes"):
                peer.pop(key, None)
        results = dict(RESULTS, training=True, cases=[
            case("lenet", 1, rows), case("vgg16", 1, rows[1:], {"kiln": "crashed"})])
        text = report.markdown(results)
        self.assertIn("| lenet | 1 | 1 | 6.00 | 12.00 | compiled | 0.50 | 0.40 | 12.0 | 40.0 | 0.30 "
                      "| 0.60 |", text)
        self.assertIn("| vgg16 | 1 | 1 | kiln | failed |", text)
        self.assertNotIn("geometric mean", text)
        self.assertEqual(text.count("| compiled |"), 3)  # as the best, and a row for either net
        xml.etree.ElementTree.fromstring(report.svg(results))

    def test_nothing_measured_is_no_error(self):
        empty = dict(RESULTS, cases=[])
        self.assertIn("geometric mean", report.markdown(empty))
        xml.etree.ElementTree.fromstring(report.svg(empty))


if __name__ == "__main__":
    unittest.main()
