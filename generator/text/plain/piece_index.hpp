#pragma once
// All pieces of a vocabulary in one sorted list: which of them begin at a place of a text? Immutable; any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

class PieceIndex {
public:
    PieceIndex() = default;
    // The id of a piece is its place in the list; of equal pieces the last one counts. Empty ones never match.
    explicit PieceIndex(const std::vector<std::string_view>& pieces);

    std::string_view text(int id) const {
        const auto at = static_cast<std::size_t>(id);
        return std::string_view(bytes_).substr(starts_[at], starts_[at + 1] - starts_[at]);
    }
    int size() const { return static_cast<int>(starts_.size()) - 1; }
    // -1: no such piece.
    int find(std::string_view piece) const;

    // Calls match(length, id) for every piece that `text` begins with, shortest first.
    template <typename Match>
    void prefixes(std::string_view text, Match match) const {
        if (text.empty()) return;
        const auto first = static_cast<unsigned char>(text[0]);
        std::uint32_t low = first_byte_[first], high = first_byte_[first + 1u];
        for (std::size_t depth = 1; low < high; ++depth) {
            // All entries of [low, high) begin with the first `depth` bytes; one that is no longer stands in front.
            if (length(low) == depth) match(depth, static_cast<int>(entries_[low++].id));
            if (depth == text.size()) return;
            narrow(low, high, depth, static_cast<unsigned char>(text[depth]));
        }
    }

private:
    struct Entry {
        std::uint64_t head; // the first eight bytes, the first one on top, zeros behind the end
        std::uint32_t id;
    };
    std::size_t length(std::uint32_t entry) const {
        const std::uint32_t id = entries_[entry].id;
        return starts_[id + 1u] - starts_[id];
    }
    unsigned char byte(const Entry& entry, std::size_t at) const {
        if (at < 8) return static_cast<unsigned char>(entry.head >> (56 - 8 * at));
        return static_cast<unsigned char>(bytes_[starts_[entry.id] + at]);
    }
    // Keeps the entries whose byte `at` is `value`; all of them are longer than `at`.
    void narrow(std::uint32_t& low, std::uint32_t& high, std::size_t at, unsigned char value) const;

    std::string bytes_;
    std::vector<std::uint32_t> starts_{0}; // pieces + 1
    std::vector<Entry> entries_;
    std::array<std::uint32_t, 257> first_byte_{};
};

} // namespace wander
