// What each loop-IR operator computes on one scalar: the definition that constant folding and the
// loop interpreter share and that the code generator must match.
//
// Integers (and bool) are held in int64 wrapped to their type, u64 by its bits; floats in double.
// Float results are not yet rounded to the type: see RoundTo.
#pragma once

#include <cstdint>

#include "ir/loop/expr.h"

namespace kiln::loop {

/// An integer wrapped to the width and sign of `type` (bool: 0 or 1).
int64_t WrapTo(ElementType type, int64_t value);
/// `value` rounded to f16, bf16, f32 or f64 (to nearest, ties to even).
double RoundTo(ElementType type, double value);
/// A float to an integer type: truncated, clamped to the type's range, NaN gives 0; to bool: != 0.
int64_t SaturatingInt(ElementType type, double value);
/// The double nearest to an integer of `type`.
double IntToDouble(ElementType type, int64_t value);

bool IsComparison(BinaryOp op);

int64_t EvalInt(UnaryOp op, ElementType type, int64_t a);
/// Comparisons give 0 or 1.
int64_t EvalInt(BinaryOp op, ElementType type, int64_t a, int64_t b);
/// kIsNan and kIsInf give 0 or 1.
double EvalFloat(UnaryOp op, double a);
double EvalFloat(BinaryOp op, double a, double b);
bool CompareFloat(BinaryOp op, double a, double b);

}  // namespace kiln::loop
