// Tokens of the text form. The lexer never fails: what is no token comes out as kInvalid, and the
// parser reports it where it expected something else.
#pragma once

#include <string>
#include <string_view>

namespace kiln {

enum class TokenKind {
  kEnd,
  kIdentifier,   ///< [A-Za-z_][A-Za-z0-9_]*
  kNumber,       ///< starts with a digit or `-`: 3, -0.5, 1e-05, 0x7fc00001, -inf; not yet checked
  kString,       ///< "..." with the escapes of Quote
  kValue,        ///< %name
  kPunctuation,  ///< one of ( ) { } [ ] , : = | @ or ->
  kInvalid,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  ///< a string's decoded content, a value's name; kInvalid: what is wrong
  int line = 1;      ///< both from 1; columns count bytes
  int column = 1;

  /// As messages name it: "'conv'", "the string \"a\"", "the end of the text".
  std::string Describe() const;
};

class Lexer {
 public:
  /// `text` must outlive the lexer.
  explicit Lexer(std::string_view text) : text_(text) {}

  /// Moves past the next token. At the end it keeps returning kEnd.
  Token Next();

 private:
  void SkipSpace();
  void Advance() { ++position_; }
  bool AtEnd() const { return position_ >= text_.size(); }
  char Peek(size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }
  std::string TakeWhile(bool (*accept)(char));
  void LexString(Token& token);
  void LexPunctuation(Token& token);

  std::string_view text_;
  size_t position_ = 0;
  size_t line_start_ = 0;
  int line_ = 1;
};

}  // namespace kiln
