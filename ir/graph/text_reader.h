// Reads the small pieces of the text form: punctuation, numbers, lists, types, tensors, attribute
// values. Every error is "line:column: expected X, found Y".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/attribute.h"
#include "ir/graph/lexer.h"
#include "ir/graph/side_file.h"
#include "ir/support/status.h"

namespace kiln {

class TextReader {
 public:
  TextReader(std::string_view text, const SideFile* side_file);

  const Token& token() const { return token_; }
  /// The token after token().
  const Token& lookahead() const { return lookahead_; }
  Token Take();

  bool At(std::string_view punctuation) const;
  bool AtWord(std::string_view word) const;
  bool Accept(std::string_view punctuation);
  bool AcceptWord(std::string_view word);
  Status Expect(std::string_view punctuation);
  Status ExpectWord(std::string_view word);

  /// "line:column: expected ..., found ..." for the token at hand.
  Status Error(std::string_view expected) const;
  /// "line:column: message".
  static Status ErrorAt(const Token& at, const std::string& message);

  StatusOr<std::string> String();
  StatusOr<std::string> Identifier(std::string_view what);
  /// A %name token.
  StatusOr<Token> Value();
  StatusOr<int64_t> Int();
  StatusOr<double> Double();
  StatusOr<ElementType> Element();
  StatusOr<std::vector<int64_t>> Ints();
  StatusOr<Layout> ReadLayout();
  /// A type that has passed CheckedByteSize. A `{` before a `(` starts a body, not a layout.
  StatusOr<TensorType> Type();
  /// dense([...]) or file("...").
  StatusOr<Tensor> Content(const TensorType& type);
  /// The value of an attribute of this kind.
  StatusOr<Attribute> Value(Attribute::Kind kind);

  /// Elements separated by commas, up to `close`; `read` reads one.
  template <typename ReadOne>
  Status List(std::string_view close, const ReadOne& read) {
    if (Accept(close)) return OkStatus();
    while (true) {
      KILN_RETURN_IF_ERROR(read());
      if (Accept(close)) return OkStatus();
      if (!Accept(",")) return Error("',' or '" + std::string(close) + "'");
    }
  }

 private:
  StatusOr<bool> Bool();
  StatusOr<std::vector<double>> Doubles();
  StatusOr<Tensor> Dense(const TensorType& type);

  Lexer lexer_;
  const SideFile* side_file_;
  Token token_;
  Token lookahead_;
};

}  // namespace kiln
