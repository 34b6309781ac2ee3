#include "ir/graph/equal.h"

#include <bit>
#include <cmath>

#include "ir/graph/printer.h"
#include "ir/support/strings.h"

namespace kiln {

namespace {

bool SameDouble(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

// Finds the first difference. Each Same... returns whether all is equal so far.
class Comparison {
 public:
  const std::string& difference() const { return difference_; }

  bool Same(const Module& a, const Module& b) {
    if (!SameText("module name", a.name, b.name)) return false;
    if (a.metadata != b.metadata) return Differ("metadata", "", "");
    return SameParameters(a, b) && SameFunctions(a, b);
  }

 private:
  bool Differ(const std::string& what, const std::string& a, const std::string& b) {
    difference_ = StrCat(where_, where_.empty() ? "" : ": ", what, " differ",
                         a == b ? "" : StrCat(": ", a, " and ", b));
    return false;
  }

  bool SameText(const std::string& what, const std::string& a, const std::string& b) {
    return a == b || Differ(what, a, b);
  }

  bool SameCount(const std::string& what, size_t a, size_t b) {
    return a == b || Differ("numbers of " + what, StrCat(a), StrCat(b));
  }

  bool SameParameters(const Module& a, const Module& b) {
    if (!SameCount("parameters", a.parameters().size(), b.parameters().size())) return false;
    for (const auto& [name, parameter] : a.parameters()) {
      const Parameter* const other = b.FindParameter(name);
      if (other == nullptr || other->trainable != parameter.trainable ||
          !(other->value == parameter.value)) {
        return Differ(StrCat("parameters '", name, "'"), "", "");
      }
    }
    return true;
  }

  bool SameFunctions(const Module& a, const Module& b) {
    if (!SameCount("functions", a.functions().size(), b.functions().size())) return false;
    for (size_t i = 0; i < a.functions().size(); ++i) {
      const Graph& x = *a.functions()[i];
      const Graph& y = *b.functions()[i];
      if (!SameText("function names", x.name(), y.name())) return false;
      where_ = "@" + x.name();
      if (!SameGraph(x, y) || !SameOutputs(x, y)) return false;
    }
    return true;
  }

  bool SameGraph(const Graph& a, const Graph& b) {
    if (!SameCount("inputs", a.inputs().size(), b.inputs().size()) ||
        !SameCount("ops", a.ops().size(), b.ops().size()) ||
        !SameCount("outputs", a.outputs().size(), b.outputs().size())) {
      return false;
    }
    for (auto x = a.ops().begin(), y = b.ops().begin(); x != a.ops().end(); ++x, ++y) {
      if (!SameOp(**x, **y)) return false;
    }
    return true;
  }

  bool SameOutputs(const Graph& a, const Graph& b) {
    for (size_t i = 0; i < a.outputs().size(); ++i) {
      if (!SameText("output names", a.outputs()[i].name, b.outputs()[i].name) ||
          !SameCount("updates", a.outputs()[i].update, b.outputs()[i].update) ||
          !SameText("outputs", a.outputs()[i].value->name(), b.outputs()[i].value->name())) {
        return false;
      }
    }
    return true;
  }

  bool SameOp(const Op& a, const Op& b) {
    if (!SameText("SSA names", a.name(), b.name())) return false;
    const std::string saved = where_;
    where_ += " %" + a.name();
    if (!SameText("kinds", a.kind(), b.kind()) ||
        !SameText("types", a.type().ToString(), b.type().ToString()) || !SameOperands(a, b) ||
        !SameAttributes(a, b)) {
      return false;
    }
    if (a.sources() != b.sources()) return Differ("sources", "", "");
    if ((a.body() == nullptr) != (b.body() == nullptr)) return Differ("bodies", "", "");
    if (a.body() != nullptr && !SameBody(*a.body(), *b.body())) return false;
    where_ = saved;
    return true;
  }

  bool SameBody(const Graph& a, const Graph& b) {
    return SameGraph(a, b) &&
           SameText("body outputs", a.outputs()[0].value->name(), b.outputs()[0].value->name());
  }

  bool SameOperands(const Op& a, const Op& b) {
    if (!SameCount("operands", a.operands().size(), b.operands().size())) return false;
    for (size_t i = 0; i < a.operands().size(); ++i) {
      if (!SameText("operands", a.operand(i)->name(), b.operand(i)->name())) return false;
    }
    return true;
  }

  bool SameAttributes(const Op& a, const Op& b) {
    for (const auto& [name, value] : a.attributes()) {
      const Attribute& other = b.attribute(name);
      if (!Equal(value, other)) {
        return Differ(StrCat("values of '", name, "'"), Print(value), Print(other));
      }
    }
    return true;
  }

  std::string where_;
  std::string difference_;
};

}  // namespace

bool Equal(const Attribute& a, const Attribute& b) {
  if (a.kind() != b.kind()) return false;
  if (a.kind() == Attribute::Kind::kDouble) return SameDouble(a.as<double>(), b.as<double>());
  if (a.kind() == Attribute::Kind::kDoubles) {
    const auto& x = a.as<std::vector<double>>();
    const auto& y = b.as<std::vector<double>>();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), SameDouble);
  }
  return a == b;
}

bool Equal(const Module& a, const Module& b, std::string* difference) {
  Comparison comparison;
  if (comparison.Same(a, b)) return true;
  if (difference != nullptr) *difference = comparison.difference();
  return false;
}

}  // namespace kiln
