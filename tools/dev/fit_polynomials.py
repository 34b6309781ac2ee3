#!/usr/bin/env python3
"""Fits the polynomials of compiler/codegen/vector_math.cc (Remez exchange, relative error).

Prints each polynomial's coefficients, lowest degree first, with its largest relative error before
rounding to the type of the coefficients. Needs python3-mpmath.
"""
import struct

import mpmath as mp

mp.mp.prec = 160


def remez(function, weight, low, high, degree, rounds=12, grid=1500):
    """Coefficients of the polynomial p that minimises max |weight * (p - function)|."""
    nodes = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (degree + 1))
             for i in range(degree + 2)]
    for _ in range(rounds):
        rows = mp.matrix(degree + 2, degree + 2)
        values = mp.matrix(degree + 2, 1)
        for i, x in enumerate(nodes):
            for k in range(degree + 1):
                rows[i, k] = x**k
            rows[i, degree + 1] = (-1)**i / weight(x)
            values[i] = function(x)
        solution = mp.lu_solve(rows, values)
        coefficients = [solution[k] for k in range(degree + 1)]
        error = lambda x: weight(x) * (mp.polyval(coefficients[::-1], x) - function(x))
        xs = [low + (high - low) * i / grid for i in range(grid + 1)]
        errors = [error(x) for x in xs]
        # One extreme for each run of equal signs; at most one is dropped at an end.
        extremes = []
        for x, e in zip(xs, errors):
            if extremes and (extremes[-1][1] > 0) == (e > 0):
                if abs(e) > abs(extremes[-1][1]):
                    extremes[-1] = (x, e)
            else:
                extremes.append((x, e))
        while len(extremes) > degree + 2:
            extremes.pop(0 if abs(extremes[0][1]) < abs(extremes[-1][1]) else -1)
        if len(extremes) < degree + 2:
            break
        nodes = [x for x, _ in extremes]
    return coefficients, max(abs(e) for e in errors)


def as_float(x):
    return struct.unpack('f', struct.pack('f', float(x)))[0]


def report(name, fit, single=True):
    coefficients, error = fit
    rounded = [as_float(c) if single else float(c) for c in coefficients]
    print(f'{name}: error {mp.nstr(error, 3)}')
    print('  {' + ', '.join(f'{c:.9g}' if single else f'{c:.17g}' for c in rounded) + '}')


def main():
    tiny = mp.mpf('1e-12')
    half_ln2 = mp.log(2) / 2 * mp.mpf('1.001')
    report('exp: e^r = 1 + r + r^2 p(r)', remez(
        lambda r: (mp.expm1(r) - r) / r**2 if abs(r) > tiny else mp.mpf(1) / 2,
        lambda r: max(r**2, tiny) / mp.exp(r), -half_ln2, half_ln2, 4))
    report('log: log(1+f) = f - f^2/2 + f^3 p(f)', remez(
        lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3 if abs(f) > tiny else mp.mpf(1) / 3,
        lambda f: max(f**2, tiny), mp.sqrt(0.5) - 1, mp.sqrt(2) - 1, 8))
    split = mp.mpf('0.93')
    report('erf, small: erf(x) = x + x p(x^2)', remez(
        lambda s: mp.erf(mp.sqrt(s)) / mp.sqrt(s) - 1 if s > 0 else 2 / mp.sqrt(mp.pi) - 1,
        lambda s: 1, mp.mpf(0), split**2, 5))
    report('erf, large: log(erfc(t)) = p(t)', remez(
        lambda t: mp.log(mp.erfc(t)), lambda t: mp.erfc(t) / mp.erf(t), split, mp.mpf('3.95'), 7))
    quarter_pi = mp.pi / 4 * mp.mpf('1.001')
    report('sin: sin(r) = r + r^3 p(r^2)', remez(
        lambda s: (mp.sin(mp.sqrt(s)) - mp.sqrt(s)) / mp.sqrt(s)**3 if s > tiny else -mp.mpf(1) / 6,
        lambda s: max(s, tiny), mp.mpf(0), quarter_pi**2, 2))
    report('cos: cos(r) = 1 - r^2/2 + r^4 p(r^2)', remez(
        lambda s: (mp.cos(mp.sqrt(s)) - 1 + s / 2) / s**2 if s > tiny else mp.mpf(1) / 24,
        lambda s: max(s**2, tiny), mp.mpf(0), quarter_pi**2, 2))
    report('log2, double: log2((1+s)/(1-s)) = s p(s^2)', remez(
        lambda q: mp.log((1 + mp.sqrt(q)) / (1 - mp.sqrt(q)), 2) / mp.sqrt(q) if q > tiny
        else 2 / mp.log(2), lambda q: 1, mp.mpf(0), (3 - 2 * mp.sqrt(2))**2, 6), single=False)
    report('exp2, double: 2^r = p(r)', remez(
        lambda r: mp.mpf(2)**r, lambda r: mp.mpf(2)**-r, mp.mpf('-0.5'), mp.mpf('0.5'), 7),
        single=False)


if __name__ == '__main__':
    main()
