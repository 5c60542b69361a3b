#include "generator/text/plain/unicode.hpp"

#include "generator/text/plain/text_tables.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

namespace wander {
namespace {

namespace tables = text_tables;

// Hangul syllables are composed by arithmetic (Unicode Standard 3.12).
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTailCount;

// Below it nothing decomposes or combines.
constexpr char32_t kFirstOfInterest = 0xC0;

void decompose(std::u32string& text, char32_t code) {
    if (code < kFirstOfInterest) {
        text += code;
        return;
    }
    if (code >= kSyllables && code < kSyllables + kSyllableCount) {
        const char32_t index = code - kSyllables;
        text += static_cast<char32_t>(kLeads + index / (kVowelCount * kTailCount));
        text += static_cast<char32_t>(kVowels + index / kTailCount % kVowelCount);
        if (index % kTailCount != 0) text += static_cast<char32_t>(kTails + index % kTailCount);
        return;
    }
    const auto* entry =
        std::lower_bound(std::begin(tables::kDecompositions), std::end(tables::kDecompositions), code,
                         [](const tables::Decomposition& item, char32_t value) { return item.code < value; });
    if (entry == std::end(tables::kDecompositions) || entry->code != code) {
        text += code;
        return;
    }
    decompose(text, entry->first); // only the first one may decompose further
    if (entry->second != 0) text += entry->second;
}

struct Pair {
    std::uint64_t parts; // first << 32 | second
    char32_t code;
};

const std::vector<Pair>& pairs() {
    static const std::vector<Pair> sorted = [] {
        std::vector<Pair> list;
        for (const auto& entry : tables::kDecompositions) {
            if (entry.composes) list.push_back({std::uint64_t{entry.first} << 32 | entry.second, entry.code});
        }
        std::sort(list.begin(), list.end(), [](const Pair& a, const Pair& b) { return a.parts < b.parts; });
        return list;
    }();
    return sorted;
}

// 0: the two do not compose.
char32_t compose(char32_t first, char32_t second) {
    if (first >= kLeads && first < kLeads + kLeadCount && second >= kVowels && second < kVowels + kVowelCount) {
        return kSyllables + ((first - kLeads) * kVowelCount + (second - kVowels)) * kTailCount;
    }
    if (first >= kSyllables && first < kSyllables + kSyllableCount && (first - kSyllables) % kTailCount == 0 &&
        second > kTails && second < kTails + kTailCount) {
        return first + (second - kTails);
    }
    const std::uint64_t key = std::uint64_t{first} << 32 | second;
    const auto entry = std::lower_bound(pairs().begin(), pairs().end(), key,
                                        [](const Pair& item, std::uint64_t value) { return item.parts < value; });
    return entry != pairs().end() && entry->parts == key ? entry->code : 0;
}

struct Mark {
    char32_t code;
    int order;
};

// Takes decomposed characters, marks in sorted order, and composes each with the last starter where that is allowed.
class Composer {
public:
    void add(char32_t code, int order) {
        if (starter_ != std::u32string::npos) {
            // Nothing of the same or a higher class may stand between the two; what stands there is sorted.
            if (last_order_ == 0 || last_order_ < order) {
                if (const char32_t both = compose(text_[starter_], code)) {
                    text_[starter_] = both;
                    return;
                }
            }
        }
        if (order == 0) starter_ = text_.size();
        last_order_ = order;
        text_ += code;
    }
    std::u32string take() { return std::move(text_); }

private:
    std::u32string text_;
    std::size_t starter_ = std::u32string::npos;
    int last_order_ = 0; // class of the character kept last; 0: it is the starter itself
};

} // namespace

int combining_class(char32_t code) {
    const auto* range =
        std::lower_bound(std::begin(tables::kCombiningRanges), std::end(tables::kCombiningRanges), code,
                         [](const tables::CombiningRange& entry, char32_t value) { return entry.last < value; });
    return range != std::end(tables::kCombiningRanges) && range->first <= code ? range->value : 0;
}

std::u32string normalize_nfc(std::u32string_view text) {
    if (std::all_of(text.begin(), text.end(), [](char32_t code) { return code < 0x300; })) return std::u32string(text);
    std::u32string parts;
    parts.reserve(text.size());
    for (const char32_t code : text) decompose(parts, code);

    Composer composer;
    std::vector<Mark> marks; // a run of marks between two starters
    const auto flush = [&] {
        std::stable_sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.order < b.order; });
        for (const Mark& mark : marks) composer.add(mark.code, mark.order);
        marks.clear();
    };
    for (const char32_t code : parts) {
        const int order = code < 0x300 ? 0 : combining_class(code);
        if (order != 0) {
            marks.push_back({code, order});
            continue;
        }
        flush();
        composer.add(code, 0);
    }
    flush();
    return composer.take();
}

bool is_white_space(char32_t code) {
    if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x20);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

void append_normal_width(std::u32string& text, char32_t code) {
    if (code == 0x3000) {
        text += U' ';
    } else if (code >= 0xFF01 && code < 0xFF01 + std::size(tables::kFullWidths)) {
        const auto& form = tables::kFullWidths[code - 0xFF01];
        text += form.first;
        if (form.second != 0) text += form.second;
    } else {
        text += code;
    }
}

} // namespace wander
