"""The results of bench/compare as a Markdown table and an SVG chart."""

import html
import math

PEERS = ("onnxruntime", "openvino", "torch", "torch-compiled")
TRAINING_PEERS = ("eager", "eager-nhwc", "compiled", "compiled-nhwc")  # PyTorch in four ways
COLORS = {"kiln": "#d1495b", "onnxruntime": "#30638e", "openvino": "#00798c", "torch": "#9aa5b1",
          "torch-compiled": "#edae49", "eager": "#30638e", "eager-nhwc": "#00798c",
          "compiled": "#9aa5b1", "compiled-nhwc": "#edae49"}
TIME_LIMIT, MEMORY_LIMIT = {"lenet": 0.40}, 0.60  # of PyTorch's, a step of training
OTHER_TIME_LIMIT = 0.75


def best_peer(case):
    """The row of the fastest engine besides Kiln; None where there is none."""
    rows = [row for name, row in case["engines"].items() if name != "kiln"]
    return min(rows, key=lambda row: row["median_ms"], default=None)


def ratio(case):
    """Kiln's median over the best peer's; None where one is missing."""
    mine, best = case["engines"].get("kiln"), best_peer(case)
    return mine["median_ms"] / best["median_ms"] if mine and best else None


def engine_names(results):
    return ("kiln", *(TRAINING_PEERS if results.get("training") else PEERS))


def gflops(case, row):
    return case["flops"] / row["median_ms"] * 1e-6


def settings(results):
    """The (batch, threads) pairs measured, in order."""
    return sorted({(case["batch"], case["threads"]) for case in results["cases"]})


def nets(results):
    return list(dict.fromkeys(case["net"] for case in results["cases"]))


def find(results, net, batch, threads):
    for case in results["cases"]:
        if (case["net"], case["batch"], case["threads"]) == (net, batch, threads):
            return case
    return None


def table(header, rows, numbers_from=1):
    """Markdown; columns from `numbers_from` on are right-aligned."""
    rule = ["---" if index < numbers_from else "--:" for index in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def summary(results):
    """Ratios: a row a net, a column a setting, and their geometric means."""
    columns, rows = settings(results), []
    for net in nets(results):
        values = [find(results, net, *column) for column in columns]
        values = [ratio(case) if case else None for case in values]
        rows.append([net, *(f"{value:.2f}" if value else "" for value in values)])
    means = []
    for column in columns:
        logs = [math.log(value) for net in nets(results)
                if (case := find(results, net, *column)) and (value := ratio(case))]
        means.append(f"**{math.exp(sum(logs) / len(logs)):.2f}**" if logs else "")
    rows.append(["**geometric mean**", *means])
    header = ["Kiln / best peer", *(f"batch {batch}, {threads} thread{'s' * (threads > 1)}"
                                    for batch, threads in columns)]
    return table(header, rows)


def megabytes(count):
    return f"{count / 1e6:.1f}" if count < 1e8 else f"{count / 1e6:.0f}"


def milliseconds(value):
    return f"{value:.4f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def training_summary(results):
    """A row a case: time against the fastest peer, memory against the thriftiest, and the limits."""
    rows = []
    for case in results["cases"]:
        mine, best = case["engines"].get("kiln"), best_peer(case)
        if not mine or not best:
            continue
        least = min(row["peak_memory_bytes"] for name, row in case["engines"].items()
                    if name != "kiln")
        limit = TIME_LIMIT.get(case["net"], OTHER_TIME_LIMIT)
        rows.append([case["net"], str(case["batch"]), str(case["threads"]),
                     milliseconds(mine["median_ms"]), milliseconds(best["median_ms"]),
                     best["engine"], f"{mine['median_ms'] / best['median_ms']:.2f}", f"{limit:.2f}",
                     megabytes(mine["peak_memory_bytes"]), megabytes(least),
                     f"{mine['peak_memory_bytes'] / least:.2f}", f"{MEMORY_LIMIT:.2f}"])
    return table(["net", "batch", "threads", "Kiln ms", "PyTorch ms", "best", "ratio", "at most",
                  "Kiln MB", "PyTorch MB", "ratio", "at most"], rows)


def details(results):
    """A row for every engine of every case."""
    rows = []
    for case in results["cases"]:
        for name in engine_names(results):
            row = case["engines"].get(name)
            if row is None:
                if name in case["failures"]:
                    rows.append([case["net"], str(case["batch"]), str(case["threads"]), name,
                                 "failed", *[""] * 9])
                continue
            peak = case["peak_gflops"]
            session = f"{row['session_ms']:.0f}"
            memory = megabytes(row["peak_memory_bytes"])
            if "warm_session_ms" in row:
                session += f" ({row['warm_session_ms']:.0f} warm)"
                memory += f" ({megabytes(row['session_memory_bytes'])} compiling)"
            rows.append([
                case["net"], str(case["batch"]), str(case["threads"]), name,
                milliseconds(row["median_ms"]) + "*" * row["disturbed"],
                milliseconds(row["p10_ms"]), milliseconds(row["p90_ms"]),
                f"{gflops(case, row):.1f}",
                f"{100 * gflops(case, row) / peak:.0f} %" if peak else "",
                f"{row['cpu_share']:.2f}", session, memory,
                megabytes(row["disk_bytes"]) if "disk_bytes" in row else "", f"{row['error']:.0e}"])
    return table(["net", "batch", "threads", "engine", "median ms", "p10", "p90", "GFLOP/s",
                  "of peak", "CPU / wall", "session ms", "memory MB", "disk MB", "error"], rows, 1)


def markdown(results):
    versions = {}
    for case in results["cases"]:
        for name, row in case["engines"].items():
            versions[name] = row["version"]
    peaks = {}
    for case in results["cases"]:
        peaks[case["threads"]] = max(peaks.get(case["threads"], 0.0), case["peak_gflops"])
    lines = [
        f"`{results['command']}` on {results['cpu']} ({results['cpus']} CPUs), {results['date']}: "
        + ", ".join(f"{name} {versions[name]}" for name in engine_names(results) if name in versions)
        + f"; {results['rounds']} rounds of {results['seconds']:g} s. Measured FMA peak: "
        + ", ".join(f"{peak:.0f} GFLOP/s with {threads} thread{'s' * (threads > 1)}"
                    for threads, peak in sorted(peaks.items())) + ".",
        "", training_summary(results) if results.get("training") else summary(results), "",
        details(results), ""]
    failures = [f"- {case['net']}, batch {case['batch']}, {case['threads']} threads: {name}: {text}"
                for case in results["cases"] for name, text in case["failures"].items()]
    return "\n".join(lines + (["Could not run:", "", *failures, ""] if failures else []))


BAR, GAP, LEFT, WIDTH, TOP = 9, 12, 130, 620, 46


def panel(results, batch, threads, top):
    """Bars of GFLOP/s as a share of the FMA peak, net by net; (elements, height)."""
    cases = [case for net in nets(results) if (case := find(results, net, batch, threads))]
    shares = {(case["net"], name): gflops(case, row) / case["peak_gflops"]
              for case in cases if case["peak_gflops"] for name, row in case["engines"].items()}
    limit = max([1.0, *shares.values()]) * 1.08
    title = f"batch {batch}, {threads} thread{'s' * (threads > 1)}: GFLOP/s, share of the FMA peak"
    out = [f'<text x="{LEFT}" y="{top + 14}" font-weight="bold">{title}</text>']
    y = top + 26
    for case in cases:
        names = [name for name in engine_names(results) if (case["net"], name) in shares]
        middle = y + len(names) * BAR / 2 + 4
        out.append(f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">'
                   f'{html.escape(case["net"])}</text>')
        for name in names:
            share = shares[case["net"], name]
            length = share / limit * WIDTH
            label = milliseconds(case["engines"][name]["median_ms"])
            out.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 1}" '
                       f'fill="{COLORS[name]}"/>'
                       f'<text x="{LEFT + length + 4:.1f}" y="{y + BAR - 2}" font-size="8">'
                       f'{label} ms</text>')
            y += BAR
        y += GAP
    at = LEFT + WIDTH / limit
    out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top + 20}" y2="{y - GAP}" stroke="#888" '
               f'stroke-dasharray="3 3"/>')
    return out, y - top


def svg(results):
    """A panel for each setting; longer bars are faster, the dashed line is the FMA peak."""
    out, y = [], TOP
    for batch, threads in settings(results):
        elements, height = panel(results, batch, threads, y)
        out += elements
        y += height + GAP
    legend = []
    for index, name in enumerate(engine_names(results)):
        x = LEFT + 125 * index
        legend.append(f'<rect x="{x}" y="16" width="10" height="10" fill="{COLORS[name]}"/>'
                      f'<text x="{x + 14}" y="25">{name}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{y}" '
            f'font-family="sans-serif" font-size="11">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(legend + out)
            + "\n</svg>\n")
