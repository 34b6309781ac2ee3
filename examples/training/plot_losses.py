#!/usr/bin/env python3
"""Plots the losses of several runs into one SVG: plot_losses.py OUT.svg RUN/metrics.csv..."""

import csv
import math
import pathlib
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 400, 70, 40, 20
COLOURS = ["#1f6fb4", "#2a9d4a", "#d9541e", "#8a4fbf", "#666666"]


def read(path):
    """(step, log10 of the loss) of every row that has a loss above 0."""
    with open(path, newline="") as file:
        rows = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file) if row["loss"]]
    return [(step, math.log10(loss)) for step, loss in rows if loss > 0]


def main(out, paths):
    runs = [(pathlib.Path(path).parent.name, read(path)) for path in paths]
    steps = [step for _, points in runs for step, _ in points]
    logs = [log for _, points in runs for _, log in points]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    high += high == low

    def x(step):
        return LEFT + step / max(steps) * (WIDTH - LEFT - 20)

    def y(log):
        return TOP + (high - log) / (high - low) * (HEIGHT - TOP - BOTTOM)

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>']
    for power in range(low, high + 1, max(1, (high - low) // 8)):
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y(power):.1f}" y2="{y(power):.1f}" '
                     f'stroke="#ddd"/><text x="{LEFT - 8}" y="{y(power) + 4:.1f}" '
                     f'text-anchor="end">1e{power}</text>')
    for number, (name, points) in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x(step):.1f},{y(log):.1f}" for step, log in points)
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        lines.append(f'<text x="{LEFT + 10 + 150 * number}" y="{HEIGHT - 10}" fill="{colour}">'
                     f'{name}</text>')
    lines.append("</svg>\n")
    pathlib.Path(out).write_text("\n".join(lines))
    print(f"plotted into {out}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
