#include "passes/diff.h"

#include <algorithm>
#include <map>
#include <vector>

#include "ir/support/strings.h"

namespace kiln {

namespace {

using Lines = std::vector<std::string_view>;

Lines SplitLines(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// A line kept at position `before` of one text and `after` of the other.
struct Match {
  size_t before, after;
};

// The lines that occur exactly once in both texts, in the order of `before`.
std::vector<Match> UniqueMatches(const Lines& before, const Lines& after) {
  struct Occurrence {
    int in_before = 0, in_after = 0;
    Match at{};
  };
  std::map<std::string_view, Occurrence> lines;
  for (size_t i = 0; i < before.size(); ++i) {
    Occurrence& line = lines[before[i]];
    ++line.in_before;
    line.at.before = i;
  }
  for (size_t i = 0; i < after.size(); ++i) {
    Occurrence& line = lines[after[i]];
    ++line.in_after;
    line.at.after = i;
  }
  std::vector<Match> matches;
  for (const auto& [text, line] : lines) {
    if (line.in_before == 1 && line.in_after == 1) matches.push_back(line.at);
  }
  std::sort(matches.begin(), matches.end(),
            [](const Match& a, const Match& b) { return a.before < b.before; });
  return matches;
}

// The longest subsequence of `matches` that increases in `after` too (patience sorting).
std::vector<Match> LongestIncreasing(const std::vector<Match>& matches) {
  std::vector<size_t> tails;  // tails[k]: the match that ends the best run of length k + 1
  std::vector<size_t> previous(matches.size());
  for (size_t i = 0; i < matches.size(); ++i) {
    const auto tail = std::lower_bound(tails.begin(), tails.end(), i, [&](size_t a, size_t b) {
      return matches[a].after < matches[b].after;
    });
    previous[i] = tail == tails.begin() ? i : *std::prev(tail);
    if (tail == tails.end()) {
      tails.push_back(i);
    } else {
      *tail = i;
    }
  }
  std::vector<Match> run;
  for (size_t k = tails.size(), i = k ? tails.back() : 0; k-- > 0; i = previous[i]) {
    run.push_back(matches[i]);
  }
  std::reverse(run.begin(), run.end());
  return run;
}

// All kept lines: the anchors, and equal lines that touch them or the ends of the texts.
std::vector<Match> KeptLines(const Lines& before, const Lines& after) {
  std::vector<Match> kept;
  std::vector<Match> anchors = LongestIncreasing(UniqueMatches(before, after));
  anchors.push_back({before.size(), after.size()});
  size_t i = 0, j = 0;
  for (const Match& anchor : anchors) {
    while (i < anchor.before && j < anchor.after && before[i] == after[j]) {
      kept.push_back({i++, j++});
    }
    std::vector<Match> behind;
    size_t end_i = anchor.before, end_j = anchor.after;
    while (end_i > i && end_j > j && before[end_i - 1] == after[end_j - 1]) {
      behind.push_back({--end_i, --end_j});
    }
    kept.insert(kept.end(), behind.rbegin(), behind.rend());
    if (anchor.before < before.size()) kept.push_back(anchor);
    i = anchor.before + 1;
    j = anchor.after + 1;
  }
  return kept;
}

struct Edit {
  char mark;  // ' ', '-' or '+'
  std::string_view line;
  size_t before, after;  // lines of each text that precede this edit
};

std::vector<Edit> Edits(const Lines& before, const Lines& after) {
  std::vector<Edit> edits;
  size_t i = 0, j = 0;
  std::vector<Match> kept = KeptLines(before, after);
  kept.push_back({before.size(), after.size()});
  for (const Match& match : kept) {
    for (; i < match.before; ++i) edits.push_back({'-', before[i], i, j});
    for (; j < match.after; ++j) edits.push_back({'+', after[j], i, j});
    if (i == before.size()) break;
    edits.push_back({' ', before[i], i, j});
    ++i;
    ++j;
  }
  return edits;
}

std::string Hunk(const std::vector<Edit>& edits, size_t begin, size_t end) {
  size_t minus = 0, plus = 0;
  std::string body;
  for (size_t k = begin; k < end; ++k) {
    minus += edits[k].mark != '+';
    plus += edits[k].mark != '-';
    body += StrCat(edits[k].mark, edits[k].line, "\n");
  }
  const auto start = [](size_t line, size_t count) { return uint64_t{line + (count > 0)}; };
  return StrCat("@@ -", start(edits[begin].before, minus), ",", uint64_t{minus}, " +",
                start(edits[begin].after, plus), ",", uint64_t{plus}, " @@\n", body);
}

}  // namespace

std::string UnifiedDiff(std::string_view before, std::string_view after, int context) {
  const std::vector<Edit> edits = Edits(SplitLines(before), SplitLines(after));
  const auto margin = static_cast<size_t>(context);
  std::string diff;
  for (size_t k = 0; k < edits.size();) {
    if (edits[k].mark == ' ') {
      ++k;
      continue;
    }
    // A hunk runs from here until more than two margins of unchanged lines follow a change.
    size_t last_change = k;
    for (size_t n = k; n < edits.size() && n <= last_change + 2 * margin + 1; ++n) {
      if (edits[n].mark != ' ') last_change = n;
    }
    const size_t end = std::min(edits.size(), last_change + margin + 1);
    diff += Hunk(edits, k - std::min(k, margin), end);
    k = end;
  }
  return diff;
}

}  // namespace kiln
