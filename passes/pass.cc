#include "passes/pass.h"

#include <algorithm>

namespace kiln {

std::string Remark::ToString() const {
  return StrCat(pass, rule == pass ? "" : "/", rule == pass ? "" : rule, ": ",
                kind == Kind::kFired ? "fired" : "refused", ": ", function, ": ", text);
}

namespace {

// Whether the selector RULE[:SOURCE] covers `rule` of `pass` on `op`. Source names may hold colons.
bool Selects(std::string_view selector, std::string_view pass, std::string_view rule,
             const Op& op) {
  const size_t colon = selector.find(':');
  const std::string_view name = selector.substr(0, colon);
  if (name != rule && name != pass) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view source = selector.substr(colon + 1);
  const auto& sources = op.sources();
  return op.name() == source || std::find(sources.begin(), sources.end(), source) != sources.end();
}

}  // namespace

bool PassContext::Allow(std::string_view rule, const Op& op) const {
  if (options_.limit >= 0 && rewrites_ >= options_.limit) return false;
  return std::none_of(
      options_.disabled.begin(), options_.disabled.end(),
      [&](const std::string& selector) { return Selects(selector, pass_, rule, op); });
}

void PassContext::Fired(std::string_view rule, const Op& op, std::string text) {
  ++rewrites_;
  remarks_.push_back(
      {Remark::Kind::kFired, pass_, std::string(rule), op.graph()->name(), std::move(text)});
}

void PassContext::Refused(std::string_view rule, const Op& op, std::string text) {
  Remark remark{Remark::Kind::kRefused, pass_, std::string(rule), op.graph()->name(),
                std::move(text)};
  if (refusals_.insert(remark.ToString()).second) remarks_.push_back(std::move(remark));
}

void PassContext::Count(std::string_view statistic, int64_t amount) {
  statistics_[StrCat(pass_, ": ", statistic)] += amount;
}

std::string Describe(const Op& op) {
  const bool named = !op.sources().empty();
  return StrCat(op.kind(), " '", named ? "" : "%", named ? op.sources().front() : op.name(), "'");
}

}  // namespace kiln
