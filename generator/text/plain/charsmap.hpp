#pragma once
// SentencePiece's precompiled character map, as the normaliser "Precompiled" of a tokenizer.json carries it: base64 of
// a double-array trie over UTF-8 and the texts it leads to. umT5's file has none; its relatives have.
//
// Applied the way the public tokenizer does it: a short character with its combining marks is looked up as a whole
// first, then character by character; of the entries that begin there the shortest counts. Immutable; any thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

class Charsmap {
public:
    // Nothing: no base64, or no map.
    static std::optional<Charsmap> parse(std::string_view base64);

    // Valid UTF-8 in and out.
    std::string apply(std::string_view text) const;

private:
    // What stands for `chunk`, if it begins with an entry.
    std::optional<std::string_view> find(std::string_view chunk) const;

    std::vector<std::uint32_t> trie_;
    std::string texts_; // each ends with a zero
};

} // namespace wander
