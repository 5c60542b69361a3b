#include "gui/plain/format_family.hpp"

#include <array>

namespace wander::gui {

namespace {

struct Prefix {
    std::string_view begins;
    FormatFamily family;
};
// The first that fits counts.
constexpr std::array<Prefix, 16> kPrefixes = {{
    {"bf16", FormatFamily::uncompressed},
    {"open", FormatFamily::uncompressed},
    {"fp8", FormatFamily::eight_bit},
    {"int8", FormatFamily::eight_bit},
    {"prq", FormatFamily::eight_bit},
    {"int4", FormatFamily::rounding},
    {"rtn", FormatFamily::rounding},
    {"nvfp4", FormatFamily::rounding},
    {"kivi", FormatFamily::kivi},
    {"k4v2", FormatFamily::kivi},
    {"quarot", FormatFamily::rotated},
    {"int2", FormatFamily::codebook},
    {"qvg", FormatFamily::codebook},
    {"pca", FormatFamily::pca},
    {"prune", FormatFamily::pruned},
    {"soft", FormatFamily::pruned},
}};

} // namespace

FormatFamily family_of(std::string_view format, double bits) {
    for (const Prefix& prefix : kPrefixes) {
        if (format.starts_with(prefix.begins)) return prefix.family;
    }
    return bits >= 16 ? FormatFamily::uncompressed : bits >= 8 ? FormatFamily::eight_bit : FormatFamily::other;
}

std::string_view family_name(FormatFamily family) {
    constexpr std::array<std::string_view, kFormatFamilies> kNames = {
        "uncompressed", "8 bit", "rounding", "KIVI", "rotated", "k-means", "PCA", "pruned", "packed"};
    return kNames[static_cast<std::size_t>(family)];
}

std::vector<std::string_view> formats_of_cell(std::string_view format) {
    constexpr std::string_view kBetween = " / ";
    std::vector<std::string_view> names;
    for (;;) {
        const auto end = format.find(kBetween);
        names.push_back(format.substr(0, end));
        if (end == std::string_view::npos) return names;
        format.remove_prefix(end + kBetween.size());
    }
}

} // namespace wander::gui
