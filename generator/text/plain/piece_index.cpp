#include "generator/text/plain/piece_index.hpp"

#include <algorithm>

namespace wander {

PieceIndex::PieceIndex(const std::vector<std::string_view>& pieces) {
    std::size_t total = 0;
    for (const std::string_view piece : pieces) total += piece.size();
    bytes_.reserve(total);
    starts_.reserve(pieces.size() + 1);
    entries_.reserve(pieces.size());
    for (const std::string_view piece : pieces) {
        const auto id = static_cast<std::uint32_t>(starts_.size() - 1);
        bytes_ += piece;
        starts_.push_back(static_cast<std::uint32_t>(bytes_.size()));
        if (piece.empty()) continue;
        std::uint64_t head = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            head = head << 8 | (i < piece.size() ? static_cast<unsigned char>(piece[i]) : 0u);
        }
        entries_.push_back({head, id});
    }
    std::sort(entries_.begin(), entries_.end(), [this](const Entry& a, const Entry& b) {
        if (a.head != b.head) return a.head < b.head;
        const auto left = text(static_cast<int>(a.id)), right = text(static_cast<int>(b.id));
        return left != right ? left < right : a.id > b.id;
    });
    const auto same = [this](const Entry& a, const Entry& b) {
        return a.head == b.head && text(static_cast<int>(a.id)) == text(static_cast<int>(b.id));
    };
    entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
    std::size_t at = 0;
    for (std::size_t value = 0; value < 256; ++value) {
        first_byte_[value] = static_cast<std::uint32_t>(at);
        while (at < entries_.size() && entries_[at].head >> 56 == value) ++at;
    }
    first_byte_[256] = static_cast<std::uint32_t>(entries_.size());
}

void PieceIndex::narrow(std::uint32_t& low, std::uint32_t& high, std::size_t at, unsigned char value) const {
    const auto first = entries_.begin() + low, last = entries_.begin() + high;
    const auto begin = std::partition_point(first, last, [&](const Entry& e) { return byte(e, at) < value; });
    const auto end = std::partition_point(begin, last, [&](const Entry& e) { return byte(e, at) == value; });
    low = static_cast<std::uint32_t>(begin - entries_.begin());
    high = static_cast<std::uint32_t>(end - entries_.begin());
}

int PieceIndex::find(std::string_view piece) const {
    int found = -1;
    prefixes(piece, [&](std::size_t length, int id) {
        if (length == piece.size()) found = id;
    });
    return found;
}

} // namespace wander
