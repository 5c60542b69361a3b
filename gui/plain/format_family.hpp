#pragma once
// Kinds of cache formats, for colours and legends.

#include <cstdint>
#include <string_view>
#include <vector>

namespace wander::gui {

enum class FormatFamily : std::uint8_t {
    uncompressed,
    eight_bit,
    rounding,
    kivi,
    rotated,
    codebook,
    pca,
    pruned,
    other
};
inline constexpr int kFormatFamilies = 9;

// By registry name ("kivi2", "quarot4", ...); one that is not known here goes by its bits per value.
FormatFamily family_of(std::string_view format, double bits);
// "k-means", two words at most.
std::string_view family_name(FormatFamily family);

// A page group whose layers have several formats is called "int8 / int2": its parts.
std::vector<std::string_view> formats_of_cell(std::string_view format);

} // namespace wander::gui
