// Accesses as linear forms: what a schedule needs to know of a load or store is by how many
// elements its address moves when a loop variable takes one step.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "ir/loop/stmt.h"

namespace kiln {

/// Rows that lie so far apart are strangers to the hardware: each costs an entry of the TLB, and
/// what is fetched ahead in one ends with it.
inline constexpr int64_t kPageBytes = 4 << 10;

/// constant + sum of coefficient * variable, in elements. When an index is not of that form, the
/// variables it depends on in other ways are in `irregular`.
struct Linear {
  std::map<const loop::Variable*, int64_t> coefficients;
  std::set<const loop::Variable*> irregular;
  int64_t constant = 0;

  /// 0 when the variable does not occur. Meaningless for an irregular variable.
  int64_t Coefficient(const loop::Variable* var) const;
  bool DependsOn(const loop::Variable* var) const {
    return irregular.contains(var) || Coefficient(var) != 0;
  }
};

Linear LinearForm(const loop::Expr& index);

/// The address of an access to `buffer`, in elements from its start.
Linear AddressForm(const loop::Buffer& buffer, const std::vector<loop::Expr>& indices);

/// Every load in `expr`, those under a select included.
std::vector<loop::Expr> CollectLoads(const loop::Expr& expr);

}  // namespace kiln
