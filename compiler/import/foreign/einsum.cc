#include "compiler/import/foreign/einsum.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/import/foreign/build.h"

namespace kiln::foreign {

namespace {

// A letter of the equation; the dimensions that "..." stands for are -1, -2, ... from the right.
using Label = int;
using Labels = std::vector<Label>;

struct Term {
  Op* value;
  Labels labels;  // one per dimension, all different
};

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// "..." becomes '.'; spaces go. Only letters and one ellipsis may be left.
StatusOr<std::string> CleanTerm(const std::string& text) {
  std::string term;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text.compare(i, 3, "...") == 0 && term.find('.') == std::string::npos) {
      term += '.';
      i += 2;
    } else if (IsLetter(text[i])) {
      term += text[i];
    } else {
      return InvalidInput("the equation has the term ", Quote(text));
    }
  }
  return term;
}

// Without "->": "..." first, then the labels that occur once, in alphabetical order.
std::string ImplicitOutput(const std::vector<std::string>& inputs) {
  std::map<char, int> counts;
  for (const std::string& input : inputs) {
    for (const char c : input) ++counts[c];
  }
  std::string output;
  for (const auto& [label, count] : counts) {  // '.' sorts before the letters
    if (count == 1 || label == '.') output += label;
  }
  return output;
}

StatusOr<Equation> ParseEquation(const std::string& text) {
  Equation equation;
  const size_t arrow = text.find("->");
  for (const std::string& part : StrSplit(text.substr(0, arrow), ',')) {
    KILN_ASSIGN_OR_RETURN(equation.inputs.emplace_back(), CleanTerm(part));
  }
  if (arrow == std::string::npos) {
    equation.output = ImplicitOutput(equation.inputs);
  } else {
    KILN_ASSIGN_OR_RETURN(equation.output, CleanTerm(text.substr(arrow + 2)));
  }
  return equation;
}

StatusOr<Labels> ExpandLabels(const std::string& term, int64_t rank) {
  const auto letters = static_cast<int64_t>(std::count_if(term.begin(), term.end(), IsLetter));
  const bool open = letters != static_cast<int64_t>(term.size());
  if (open ? letters > rank : letters != rank) {
    return InvalidInput("the term ", Quote(term), " does not fit ", rank, " dimensions");
  }
  Labels labels;
  for (const char c : term) {
    if (IsLetter(c)) {
      labels.push_back(c);
    } else {
      for (int64_t d = rank - letters; d > 0; --d) labels.push_back(static_cast<Label>(-d));
    }
  }
  return labels;
}

StatusOr<Op*> Permute(Builder& b, const Term& term, const Labels& order) {
  std::vector<int64_t> permutation;
  for (const Label label : order) {
    permutation.push_back(std::find(term.labels.begin(), term.labels.end(), label) -
                          term.labels.begin());
  }
  if (std::is_sorted(permutation.begin(), permutation.end())) return term.value;
  return b.Transpose(term.value, permutation);
}

// x[..., i, ..., i, ...] -> x[..., ..., ..., i]: every (n+1)-th of the n*n elements.
StatusOr<Term> TakeDiagonals(Builder& b, Term term) {
  for (size_t i = 0; i < term.labels.size();) {
    const auto twin = std::find(term.labels.begin() + static_cast<int64_t>(i) + 1,
                                term.labels.end(), term.labels[i]);
    if (twin == term.labels.end()) {
      ++i;
      continue;
    }
    const auto j = static_cast<size_t>(twin - term.labels.begin());
    const int64_t extent = term.value->shape()[i];
    if (extent != term.value->shape()[j]) return InvalidInput("a repeated label has two extents");
    std::vector<int64_t> permutation;
    Labels labels;
    Shape shape;
    for (size_t d = 0; d < term.labels.size(); ++d) {
      if (d == i || d == j) continue;
      permutation.push_back(static_cast<int64_t>(d));
      labels.push_back(term.labels[d]);
      shape.push_back(term.value->shape()[d]);
    }
    permutation.insert(permutation.end(), {static_cast<int64_t>(i), static_cast<int64_t>(j)});
    labels.push_back(term.labels[i]);
    shape.push_back(extent * extent);
    std::vector<int64_t> strides(shape.size(), 1);
    Shape sizes = shape;
    sizes.back() = extent;
    strides.back() = extent + 1;
    KILN_ASSIGN_OR_RETURN(term.value,
                          b.Make("slice", {b.Reshape(b.Transpose(term.value, permutation), shape)},
                                 {{"starts", std::vector<int64_t>(shape.size(), 0)},
                                  {"sizes", sizes},
                                  {"strides", strides}}));
    term.labels = labels;
    i = 0;
  }
  return term;
}

using Extents = std::map<Label, int64_t>;

// Every label's extent; 1 stretches to what the others have.
StatusOr<Extents> ReadExtents(const std::vector<Term>& terms) {
  Extents extents;
  for (const Term& term : terms) {
    for (size_t d = 0; d < term.labels.size(); ++d) {
      const int64_t extent = term.value->shape()[d];
      int64_t& known = extents.emplace(term.labels[d], extent).first->second;
      if (known == 1) known = extent;
      if (extent != known && extent != 1) {
        return InvalidInput("a label has the extents ", known, " and ", extent);
      }
    }
  }
  return extents;
}

bool Contains(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// Sums over the labels that nothing else needs.
StatusOr<Term> SumOut(Builder& b, Term term, const std::set<Label>& needed) {
  std::vector<int64_t> axes;
  Labels kept;
  for (size_t d = 0; d < term.labels.size(); ++d) {
    if (needed.contains(term.labels[d])) {
      kept.push_back(term.labels[d]);
    } else {
      axes.push_back(static_cast<int64_t>(d));
    }
  }
  if (axes.empty()) return term;
  KILN_ASSIGN_OR_RETURN(term.value, Reduce(b, "reduce_sum", term.value, axes, false));
  term.labels = kept;
  return term;
}

Shape ShapeOf(const Extents& extents, const Labels& labels) {
  Shape shape;
  for (const Label label : labels) shape.push_back(extents.at(label));
  return shape;
}

StatusOr<int64_t> Product(const Extents& extents, const Labels& labels) {
  const Shape shape = ShapeOf(extents, labels);
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kBool, shape).status());
  return ElementCount(shape);
}

Labels Joined(const Labels& a, const Labels& b, const Labels& c = {}) {
  Labels all = a;
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.end());
  return all;
}

// The term with its dimensions in `order`, stretched to the labels' extents.
StatusOr<Op*> Arranged(Builder& b, const Term& term, const Labels& order, const Extents& extents) {
  return b.Broadcast(Permute(b, term, order), ShapeOf(extents, order));
}

// The product of two terms, summed over the labels that nothing in `needed` asks for.
StatusOr<Term> Contract(Builder& b, const Term& left, const Term& right,
                        const std::set<Label>& needed, const Extents& extents) {
  Labels batch, shared, rows, columns;
  for (const Label label : left.labels) {
    if (!Contains(right.labels, label)) {
      rows.push_back(label);
    } else {
      (needed.contains(label) ? batch : shared).push_back(label);
    }
  }
  for (const Label label : right.labels) {
    if (!Contains(left.labels, label)) columns.push_back(label);
  }
  KILN_ASSIGN_OR_RETURN(const int64_t batches, Product(extents, batch));
  KILN_ASSIGN_OR_RETURN(const int64_t m, Product(extents, rows));
  KILN_ASSIGN_OR_RETURN(const int64_t k, Product(extents, shared));
  KILN_ASSIGN_OR_RETURN(const int64_t n, Product(extents, columns));
  const StatusOr<Op*> a =
      b.Reshape(Arranged(b, left, Joined(batch, rows, shared), extents), {batches, m, k});
  const StatusOr<Op*> c =
      b.Reshape(Arranged(b, right, Joined(batch, shared, columns), extents), {batches, k, n});
  const Labels labels = Joined(batch, rows, columns);
  // An outer product has nothing to sum.
  const StatusOr<Op*> product = shared.empty() ? b.Mul(a, c) : b.Make("matmul", {a, c});
  KILN_ASSIGN_OR_RETURN(Op* const value, b.Reshape(product, ShapeOf(extents, labels)));
  return Term{value, labels};
}

StatusOr<std::vector<Term>> ReadTerms(Builder& b, const Equation& equation,
                                      const std::vector<Op*>& operands) {
  if (operands.size() != equation.inputs.size()) {
    return InvalidInput("the equation has ", static_cast<int64_t>(equation.inputs.size()),
                        " terms for ", static_cast<int64_t>(operands.size()), " operands");
  }
  std::vector<Term> terms;
  for (size_t i = 0; i < operands.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(Labels labels, ExpandLabels(equation.inputs[i], Rank(operands[i])));
    KILN_ASSIGN_OR_RETURN(terms.emplace_back(), TakeDiagonals(b, {operands[i], std::move(labels)}));
  }
  return terms;
}

// The output's labels; its "..." has as many dimensions as the longest among the inputs.
StatusOr<Labels> OutputLabels(const std::string& output, const Extents& extents) {
  const auto open = static_cast<int64_t>(
      std::count_if(extents.begin(), extents.end(), [](const auto& e) { return e.first < 0; }));
  const auto letters = static_cast<int64_t>(std::count_if(output.begin(), output.end(), IsLetter));
  const bool has_open = output.find('.') != std::string::npos;
  KILN_ASSIGN_OR_RETURN(const Labels labels, ExpandLabels(output, letters + (has_open ? open : 0)));
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!extents.contains(labels[i])) return InvalidInput("an output label is in no input");
    if (std::find(labels.begin(), labels.begin() + static_cast<int64_t>(i), labels[i]) !=
        labels.begin() + static_cast<int64_t>(i)) {
      return InvalidInput("an output label is repeated");
    }
  }
  return labels;
}

}  // namespace

StatusOr<Op*> Einsum(Builder& b, const std::string& text, const std::vector<Op*>& operands) {
  KILN_ASSIGN_OR_RETURN(const Equation equation, ParseEquation(text));
  KILN_ASSIGN_OR_RETURN(std::vector<Term> terms, ReadTerms(b, equation, operands));
  KILN_ASSIGN_OR_RETURN(const Extents extents, ReadExtents(terms));
  KILN_ASSIGN_OR_RETURN(const Labels output, OutputLabels(equation.output, extents));
  // What the result and the terms from `from` on still need.
  const auto needed = [&](size_t from) {
    std::set<Label> labels(output.begin(), output.end());
    for (size_t i = from; i < terms.size(); ++i) {
      labels.insert(terms[i].labels.begin(), terms[i].labels.end());
    }
    return labels;
  };
  Term result = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(result, SumOut(b, result, needed(i)));
    std::set<Label> others = needed(i + 1);
    others.insert(result.labels.begin(), result.labels.end());
    KILN_ASSIGN_OR_RETURN(const Term right, SumOut(b, terms[i], others));
    KILN_ASSIGN_OR_RETURN(result, Contract(b, result, right, needed(i + 1), extents));
  }
  KILN_ASSIGN_OR_RETURN(result, SumOut(b, result, needed(terms.size())));
  return Arranged(b, result, output, extents);
}

}  // namespace kiln::foreign
