#include "compiler/diff/diff.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ir/graph/equal.h"
#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"
#include "ir/support/strings.h"

namespace kiln {

namespace {

using Ops = std::vector<const Op*>;

std::string Label(const Op& op) {
  return op.sources().empty() ? "%" + op.name() : StrJoin(op.sources(), "+");
}

/// How alike two ops are: they match when they have the same kind; better when all is the same.
int Likeness(const CanonicalNetwork& a, const Op& x, const CanonicalNetwork& b, const Op& y) {
  if (x.kind() != y.kind()) return 0;
  if (a.Hash(x) == b.Hash(y)) return 4;
  return CanonicalNetwork::Signature(x) == CanonicalNetwork::Signature(y) ? 3
         : x.type() == y.type()                                           ? 2
                                                                          : 1;
}

/// Pairs of ops that correspond, in order: the alignment of the two sequences with the greatest sum
/// of likenesses. nullptr where one has no partner.
class Alignment {
 public:
  using Pairs = std::vector<std::pair<const Op*, const Op*>>;

  Alignment(const CanonicalNetwork& a, const CanonicalNetwork& b) : a_(a), b_(b) {}

  Pairs Run() {
    size_t begin = 0, a_end = a_.ops().size(), b_end = b_.ops().size();
    const auto same = [&](size_t i, size_t j) {
      return CanonicalNetwork::Signature(*a_.ops()[i]) == CanonicalNetwork::Signature(*b_.ops()[j]);
    };
    while (begin < std::min(a_end, b_end) && same(begin, begin)) Pair(begin, begin), ++begin;
    Pairs tail;
    while (begin < std::min(a_end, b_end) && same(a_end - 1, b_end - 1)) {
      tail.emplace_back(a_.ops()[--a_end], b_.ops()[--b_end]);
    }
    AlignMiddle(begin, a_end, b_end);
    pairs_.insert(pairs_.end(), tail.rbegin(), tail.rend());
    return std::move(pairs_);
  }

 private:
  // Beyond so many cells of the table (very different large graphs) ops are paired as they come.
  static constexpr size_t kMaxCells = size_t{1} << 25;

  void Pair(size_t i, size_t j) { pairs_.emplace_back(a_.ops()[i], b_.ops()[j]); }

  void AlignMiddle(size_t begin, size_t a_end, size_t b_end) {
    const size_t rows = a_end - begin, columns = b_end - begin;
    if (rows != 0 && columns > kMaxCells / rows) {
      for (size_t i = 0; i < std::max(rows, columns); ++i) {
        pairs_.emplace_back(i < rows ? a_.ops()[begin + i] : nullptr,
                            i < columns ? b_.ops()[begin + i] : nullptr);
      }
      return;
    }
    // best[i][j]: of the ops from i and j on.
    std::vector<std::vector<int>> best(rows + 1, std::vector<int>(columns + 1, 0));
    std::vector<std::vector<char>> alike(rows, std::vector<char>(columns, 0));
    for (size_t i = rows; i-- > 0;) {
      for (size_t j = columns; j-- > 0;) {
        const int likeness = Likeness(a_, *a_.ops()[begin + i], b_, *b_.ops()[begin + j]);
        alike[i][j] = static_cast<char>(likeness);
        best[i][j] = std::max(best[i + 1][j], best[i][j + 1]);
        if (likeness > 0) best[i][j] = std::max(best[i][j], best[i + 1][j + 1] + likeness);
      }
    }
    size_t i = 0, j = 0;
    while (i < rows || j < columns) {
      if (i < rows && j < columns && alike[i][j] > 0 &&
          best[i][j] == best[i + 1][j + 1] + alike[i][j]) {
        Pair(begin + i++, begin + j++);
      } else if (j == columns || (i < rows && best[i][j] == best[i + 1][j])) {
        pairs_.emplace_back(a_.ops()[begin + i++], nullptr);
      } else {
        pairs_.emplace_back(nullptr, b_.ops()[begin + j++]);
      }
    }
  }

  const CanonicalNetwork& a_;
  const CanonicalNetwork& b_;
  Pairs pairs_;
};

/// The comparison of two aligned networks.
class Comparison {
 public:
  Comparison(const CanonicalNetwork& a, const CanonicalNetwork& b) : a_(a), b_(b) {}

  std::vector<Difference> Run() {
    CompareInterface("input", Types(a_.inputs()), Types(b_.inputs()));
    CompareInterface("output", Types(a_.outputs()), Types(b_.outputs()));
    for (size_t i = 0; i < std::min(a_.inputs().size(), b_.inputs().size()); ++i) {
      partner_[a_.inputs()[i]] = b_.inputs()[i];
    }
    for (const auto& [x, y] : Alignment(a_, b_).Run()) {
      if (x == nullptr) {
        Add(Difference::Kind::kOnlyInB, *y, y->type().ToString());
      } else if (y == nullptr) {
        Add(Difference::Kind::kOnlyInA, *x, x->type().ToString());
      } else {
        partner_[x] = y;
        if (a_.Hash(*x) != b_.Hash(*y)) ComparePair(*x, *y);
      }
    }
    CompareOutputs();
    if (differences_.empty() && a_.hash() != b_.hash()) {
      differences_.push_back({Difference::Kind::kChanged, "", "ops are connected differently"});
    }
    return std::move(differences_);
  }

 private:
  static std::vector<std::string> Types(const Ops& ops) {
    std::vector<std::string> types;
    for (const Op* const op : ops) types.push_back(op->type().ToString());
    return types;
  }

  void Add(Difference::Kind kind, const Op& op, std::string reason) {
    differences_.push_back({kind, op.kind() + " '" + Label(op) + "'", std::move(reason)});
  }

  void CompareInterface(const std::string& what, const std::vector<std::string>& a,
                        const std::vector<std::string>& b) {
    if (a.size() != b.size()) {
      differences_.push_back({Difference::Kind::kInterface, what + "s",
                              StrCat("there are ", a.size(), " and ", b.size())});
    }
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (a[i] == b[i]) continue;
      differences_.push_back(
          {Difference::Kind::kInterface, StrCat(what, " ", i), StrCat("is ", a[i], " and ", b[i])});
    }
  }

  void CompareOutputs() {
    const Ops &a = a_.outputs(), &b = b_.outputs();
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const auto it = partner_.find(a[i]);
      if (it != partner_.end() && it->second == b[i]) continue;
      differences_.push_back({Difference::Kind::kChanged, StrCat("output ", i),
                              StrCat("is given by '", Label(*a[i]), "' and '", Label(*b[i]), "'")});
    }
  }

  void ComparePair(const Op& x, const Op& y) {
    const std::string both =
        Label(x) == Label(y) ? "'" + Label(x) + "'" : "'" + Label(x) + "' / '" + Label(y) + "'";
    const auto add = [&](Difference::Kind kind, std::string reason) {
      differences_.push_back({kind, x.kind() + " " + both, std::move(reason)});
    };
    const size_t before = differences_.size();
    for (const auto& [name, value] : x.attributes()) {
      const Attribute& other = y.attribute(name);
      if (Equal(value, other)) continue;
      add(Difference::Kind::kChanged,
          StrCat("attribute '", name, "' is ", Print(value), " and ", Print(other)));
    }
    if (x.operands().size() != y.operands().size()) {
      add(Difference::Kind::kChanged,
          StrCat("has ", x.operands().size(), " and ", y.operands().size(), " operands"));
      return;
    }
    const Ops a = a_.Operands(x), b = b_.Operands(y);
    std::vector<bool> used(b.size(), false);
    Ops rest;
    for (size_t i = 0; i < a.size(); ++i) {
      bool found = false;
      // Operands of a commutative op may correspond in another order.
      for (size_t j = 0; j < b.size() && !found; ++j) {
        if (used[j] || (i != j && !x.HasTrait(kCommutative)) || !Corresponds(*a[i], *b[j])) {
          continue;
        }
        used[j] = found = true;
      }
      if (!found) rest.push_back(a[i]);
    }
    size_t next = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      if (!used[j]) CompareOperands(*rest[next++], *b[j], add);
    }
    if (differences_.size() == before && x.type() != y.type()) {
      add(Difference::Kind::kChanged,
          StrCat("is ", x.type().ToString(), " and ", y.type().ToString()));
    }
  }

  bool Corresponds(const Op& x, const Op& y) const {
    if (a_.Hash(x) == b_.Hash(y)) return true;
    const Tensor *const s = TensorOf(x), *const t = TensorOf(y);
    if (s != nullptr && t != nullptr) {
      return s->type().element == t->type().element && s->known() && t->known() &&
             std::ranges::equal(s->bytes(), t->bytes());
    }
    const auto it = partner_.find(&x);
    return it != partner_.end() && it->second == &y;
  }

  template <typename Sink>
  void CompareOperands(const Op& x, const Op& y, const Sink& add) {
    const Tensor *const s = TensorOf(x), *const t = TensorOf(y);
    if (s == nullptr || t == nullptr) {
      add(Difference::Kind::kChanged, StrCat("reads '", Label(x), "' and '", Label(y), "'"));
    } else if (s->type() != t->type()) {
      add(Difference::Kind::kChanged,
          StrCat("has weights ", s->type().ToString(), " and ", t->type().ToString()));
    } else if (!s->known() || !t->known()) {
      add(Difference::Kind::kWeights, "the weights of one are not known");
    } else {
      add(Difference::Kind::kWeights, WeightsText(*s, *t));
    }
  }

  static std::string WeightsText(const Tensor& s, const Tensor& t) {
    int64_t different = 0;
    double greatest = 0;
    for (int64_t i = 0; i < s.type().count(); ++i) {
      const double a = s.GetDouble(i), b = t.GetDouble(i);
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      ++different;
      greatest = std::max(greatest, std::abs(a - b));
    }
    return StrCat("weights ", s.type().ToString(), " differ in ", different, " of ",
                  s.type().count(), " elements, by up to ", greatest);
  }

  const CanonicalNetwork& a_;
  const CanonicalNetwork& b_;
  std::map<const Op*, const Op*> partner_;
  std::vector<Difference> differences_;
};

}  // namespace

std::vector<Difference> Differences(const CanonicalNetwork& a, const CanonicalNetwork& b) {
  if (a.hash() == b.hash()) return {};
  return Comparison(a, b).Run();
}

std::string ToString(const Difference& difference) {
  const char* const mark = difference.kind == Difference::Kind::kOnlyInA   ? "-"
                           : difference.kind == Difference::Kind::kOnlyInB ? "+"
                                                                           : "!";
  return StrCat(mark, " ", difference.layer, difference.layer.empty() ? "" : ": ",
                difference.reason);
}

}  // namespace kiln
