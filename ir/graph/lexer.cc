#include "ir/graph/lexer.h"

#include <optional>

#include "ir/support/strings.h"

namespace kiln {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsIdentifierByte(char c) { return IsLetter(c) || IsDigit(c); }
bool IsNumberByte(char c) { return IsIdentifierByte(c) || c == '.' || c == '-' || c == '+'; }
// The characters of SSA names, see Builder.
bool IsNameByte(char c) { return IsIdentifierByte(c) || c == '.' || c == '-' || c == '/'; }

std::optional<int> HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

}  // namespace

std::string Token::Describe() const {
  constexpr size_t kMaxShown = 60;
  const std::string shown = text.size() <= kMaxShown ? text : text.substr(0, kMaxShown) + "...";
  switch (kind) {
    case TokenKind::kEnd: return "the end of the text";
    case TokenKind::kString: return "the string " + Quote(shown);
    case TokenKind::kValue: return "'%" + shown + "'";
    case TokenKind::kInvalid: return text;
    default: return "'" + shown + "'";
  }
}

void Lexer::SkipSpace() {
  while (!AtEnd()) {
    const char c = Peek();
    if (c == '\n') {
      ++line_;
      line_start_ = position_ + 1;
    } else if (c == '/' && Peek(1) == '/') {
      while (!AtEnd() && Peek() != '\n') Advance();
      continue;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      return;
    }
    Advance();
  }
}

std::string Lexer::TakeWhile(bool (*accept)(char)) {
  const size_t begin = position_;
  while (!AtEnd() && accept(Peek())) Advance();
  return std::string(text_.substr(begin, position_ - begin));
}

Token Lexer::Next() {
  SkipSpace();
  Token token;
  token.line = line_;
  token.column = static_cast<int>(position_ - line_start_) + 1;
  if (AtEnd()) return token;
  const char c = Peek();
  if (IsLetter(c)) {
    token.kind = TokenKind::kIdentifier;
    token.text = TakeWhile(IsIdentifierByte);
  } else if (IsDigit(c) || (c == '-' && Peek(1) != '>')) {
    token.kind = TokenKind::kNumber;
    token.text = TakeWhile(IsNumberByte);
  } else if (c == '"') {
    LexString(token);
  } else if (c == '%') {
    Advance();
    token.text = TakeWhile(IsNameByte);
    token.kind = token.text.empty() ? TokenKind::kInvalid : TokenKind::kValue;
    if (token.text.empty()) token.text = "a '%' without a name";
  } else {
    LexPunctuation(token);
  }
  return token;
}

void Lexer::LexPunctuation(Token& token) {
  static constexpr std::string_view kSingle = "(){}[],:=|@";
  const char c = Peek();
  token.kind = TokenKind::kPunctuation;
  token.text = c;
  if (c == '-') {
    token.text = "->";
    Advance();
  } else if (kSingle.find(c) == std::string_view::npos) {
    token.kind = TokenKind::kInvalid;
    token.text = StrCat("the character ", Quote(std::string_view(&c, 1)));
  }
  Advance();
}

void Lexer::LexString(Token& token) {
  token.kind = TokenKind::kInvalid;
  Advance();
  std::string content;
  while (true) {
    if (AtEnd() || Peek() == '\n') {
      token.text = "a string without its closing '\"'";
      return;
    }
    char c = Peek();
    Advance();
    if (c == '"') break;
    if (c == '\\') {
      c = Peek();
      const auto high = HexDigit(Peek(1));
      const auto low = HexDigit(Peek(2));
      if (c == 'n') {
        c = '\n';
      } else if (c == 'x' && high && low) {
        c = static_cast<char>(*high * 16 + *low);
        position_ += 2;
      } else if (c != '"' && c != '\\') {
        token.text = "a string with an unknown escape";
        return;
      }
      Advance();
    }
    content += c;
  }
  token.kind = TokenKind::kString;
  token.text = std::move(content);
}

}  // namespace kiln
