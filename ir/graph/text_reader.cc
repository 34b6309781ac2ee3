#include "ir/graph/text_reader.h"

#include <algorithm>
#include <utility>

#include "ir/graph/element_text.h"
#include "ir/support/strings.h"

namespace kiln {

TextReader::TextReader(std::string_view text, const SideFile* side_file)
    : lexer_(text), side_file_(side_file), token_(lexer_.Next()), lookahead_(lexer_.Next()) {}

Token TextReader::Take() { return std::exchange(token_, std::exchange(lookahead_, lexer_.Next())); }

bool TextReader::At(std::string_view punctuation) const {
  return token_.kind == TokenKind::kPunctuation && token_.text == punctuation;
}

bool TextReader::AtWord(std::string_view word) const {
  return token_.kind == TokenKind::kIdentifier && token_.text == word;
}

bool TextReader::Accept(std::string_view punctuation) {
  if (!At(punctuation)) return false;
  Take();
  return true;
}

bool TextReader::AcceptWord(std::string_view word) {
  if (!AtWord(word)) return false;
  Take();
  return true;
}

Status TextReader::Expect(std::string_view punctuation) {
  return Accept(punctuation) ? OkStatus() : Error(StrCat("'", punctuation, "'"));
}

Status TextReader::ExpectWord(std::string_view word) {
  return AcceptWord(word) ? OkStatus() : Error(StrCat("'", word, "'"));
}

Status TextReader::Error(std::string_view expected) const {
  return ErrorAt(token_, StrCat("expected ", expected, ", found ", token_.Describe()));
}

Status TextReader::ErrorAt(const Token& at, const std::string& message) {
  return InvalidInput(at.line, ":", at.column, ": ", message);
}

StatusOr<std::string> TextReader::String() {
  if (token_.kind != TokenKind::kString) return Error("a string");
  return Take().text;
}

StatusOr<std::string> TextReader::Identifier(std::string_view what) {
  if (token_.kind != TokenKind::kIdentifier) return Error(what);
  return Take().text;
}

StatusOr<Token> TextReader::Value() {
  if (token_.kind != TokenKind::kValue) return Error("a value (%name)");
  return Take();
}

StatusOr<int64_t> TextReader::Int() {
  int64_t value = 0;
  if (token_.kind != TokenKind::kNumber || !ParseInt(token_.text, &value)) {
    return Error("an integer");
  }
  Take();
  return value;
}

StatusOr<double> TextReader::Double() {
  double value = 0;
  const bool number = token_.kind == TokenKind::kNumber || AtWord("inf") || AtWord("nan");
  if (!number || !ParseDouble(token_.text, &value)) return Error("a number");
  Take();
  return value;
}

StatusOr<bool> TextReader::Bool() {
  if (AcceptWord("true")) return true;
  if (AcceptWord("false")) return false;
  return Error("'true' or 'false'");
}

StatusOr<ElementType> TextReader::Element() {
  const auto element = token_.kind == TokenKind::kIdentifier ? ParseElementType(token_.text)
                                                             : std::optional<ElementType>();
  if (!element) return Error("an element type");
  Take();
  return *element;
}

StatusOr<std::vector<int64_t>> TextReader::Ints() {
  std::vector<int64_t> values;
  KILN_RETURN_IF_ERROR(Expect("["));
  KILN_RETURN_IF_ERROR(List("]", [&]() -> Status {
    KILN_ASSIGN_OR_RETURN(values.emplace_back(), Int());
    return OkStatus();
  }));
  return values;
}

StatusOr<std::vector<double>> TextReader::Doubles() {
  std::vector<double> values;
  KILN_RETURN_IF_ERROR(Expect("["));
  KILN_RETURN_IF_ERROR(List("]", [&]() -> Status {
    KILN_ASSIGN_OR_RETURN(values.emplace_back(), Double());
    return OkStatus();
  }));
  return values;
}

StatusOr<Layout> TextReader::ReadLayout() {
  Layout layout;
  const auto dimension = [&](int& result) -> Status {
    const Token at = token_;
    KILN_ASSIGN_OR_RETURN(const int64_t value, Int());
    if (value < 0 || value >= kMaxRank) {
      return ErrorAt(at, "expected a dimension, found " + at.Describe());
    }
    result = static_cast<int>(value);
    return OkStatus();
  };
  KILN_RETURN_IF_ERROR(Expect("{"));
  while (!At("|") && !At("}")) {
    KILN_RETURN_IF_ERROR(dimension(layout.order.emplace_back()));
    if (!Accept(",") && !At("|") && !At("}")) return Error("',', '|' or '}'");
  }
  if (Accept("}")) return layout;
  KILN_RETURN_IF_ERROR(Expect("|"));
  while (!At("|") && !At("}")) {
    Layout::Block& block = layout.blocks.emplace_back();
    KILN_RETURN_IF_ERROR(dimension(block.dim));
    KILN_RETURN_IF_ERROR(Expect(":"));
    KILN_ASSIGN_OR_RETURN(block.size, Int());
    if (!Accept(",") && !At("|") && !At("}")) return Error("',', '|' or '}'");
  }
  if (Accept("}")) return layout;
  KILN_RETURN_IF_ERROR(Expect("|"));
  KILN_RETURN_IF_ERROR(List("}", [&]() -> Status {
    Layout::Padding& padding = layout.padding.emplace_back();
    KILN_RETURN_IF_ERROR(dimension(padding.dim));
    KILN_RETURN_IF_ERROR(Expect(":"));
    KILN_ASSIGN_OR_RETURN(padding.low, Int());
    KILN_RETURN_IF_ERROR(Expect(":"));
    KILN_ASSIGN_OR_RETURN(padding.high, Int());
    return OkStatus();
  }));
  return layout;
}

StatusOr<TensorType> TextReader::Type() {
  const Token at = token_;
  TensorType type;
  KILN_ASSIGN_OR_RETURN(type.element, Element());
  KILN_ASSIGN_OR_RETURN(type.shape, Ints());
  const bool body = lookahead_.kind == TokenKind::kPunctuation && lookahead_.text == "(";
  if (At("{") && !body) {
    KILN_ASSIGN_OR_RETURN(type.layout, ReadLayout());
  }
  if (const auto size = CheckedByteSize(type); !size.ok()) {
    return ErrorAt(at, Message(size.status()));
  }
  return type;
}

StatusOr<Tensor> TextReader::Dense(const TensorType& type) {
  const Token at = token_;
  const auto size = static_cast<size_t>(ByteSize(type.element));
  const auto expected = static_cast<size_t>(type.bytes());
  std::vector<char> bytes;  // grows with the text, whatever the type claims
  KILN_RETURN_IF_ERROR(Expect("["));
  KILN_RETURN_IF_ERROR(List("]", [&]() -> Status {
    if (bytes.size() == expected) return Error(StrCat("']' after ", expected / size, " elements"));
    bytes.resize(bytes.size() + size);
    const bool word = token_.kind == TokenKind::kIdentifier || token_.kind == TokenKind::kNumber;
    if (!word || !ParseElement(type.element, token_.text, &bytes[bytes.size() - size])) {
      return Error(StrCat("an element of type ", Name(type.element)));
    }
    Take();
    return OkStatus();
  }));
  if (bytes.size() != expected) {
    return ErrorAt(at,
                   StrCat("expected ", expected / size, " elements, found ", bytes.size() / size));
  }
  return Tensor(type, std::move(bytes));
}

StatusOr<Tensor> TextReader::Content(const TensorType& type) {
  const Token at = token_;
  if (AcceptWord("dense")) {
    KILN_RETURN_IF_ERROR(Expect("("));
    KILN_ASSIGN_OR_RETURN(Tensor tensor, Dense(type));
    KILN_RETURN_IF_ERROR(Expect(")"));
    return tensor;
  }
  if (!AcceptWord("file")) return Error("'dense' or 'file'");
  KILN_RETURN_IF_ERROR(Expect("("));
  KILN_ASSIGN_OR_RETURN(const std::string hash, String());
  KILN_RETURN_IF_ERROR(Expect(")"));
  auto tensor = ReadSideTensor(side_file_, type, hash);
  if (!tensor.ok()) return ErrorAt(at, Message(tensor.status()));
  return tensor;
}

StatusOr<Attribute> TextReader::Value(Attribute::Kind kind) {
  switch (kind) {
    case Attribute::Kind::kBool: return Bool();
    case Attribute::Kind::kInt: return Int();
    case Attribute::Kind::kDouble: return Double();
    case Attribute::Kind::kString: return String();
    case Attribute::Kind::kInts: return Ints();
    case Attribute::Kind::kDoubles: return Doubles();
    case Attribute::Kind::kElementType: return Element();
    case Attribute::Kind::kLayout: return ReadLayout();
    case Attribute::Kind::kTensor: break;
  }
  KILN_ASSIGN_OR_RETURN(const TensorType type, Type());
  return Content(type);
}

}  // namespace kiln
