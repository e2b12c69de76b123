// node_separators.h: separators of bytes in a node: 8 bytes each, less what the node's have in
// common.
//
// A separator is the beginning of (8 bytes of score, member). Encoded, it has up to 7 bytes, those
// that all share left out, in its upper 56 bits, first byte highest, and their number below, so
// that integers compare as the bytes do; a longer one is the address of all its bytes << 8 | 255.
// Internal to node.cc. Decision: docs/adr/0008. Thread: main.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "values/node.h"

namespace flash::values {

/// Gives child `at` (its slot holds 0) the separator `full`; may encode all others anew.
void SetSeparator(Node* node, uint32_t at, std::string_view full);
[[nodiscard]] std::string FullSeparator(const Node* node, uint32_t at);
void ReleaseSeparator(Node* node, uint32_t at);
void ReleaseSeparators(Node* node);
/// Copies what the separators of `node` refer to; `copy` has as many children.
void CopySeparators(Node* copy, const Node& node);
/// Moves those from `at` on to `right`, whose children were moved already; both get new prefixes.
void SplitSeparators(Node* node, uint32_t at, Node* right);
/// RAM beside the node.
[[nodiscard]] uint64_t SeparatorBytes(const Node* node);

}  // namespace flash::values
