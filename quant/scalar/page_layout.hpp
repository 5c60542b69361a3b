#pragma once
// Where everything lies in a page of a scalar format; for host code and kernels. No state, no allocation.
//
// A scalar format stores each value as a code on an even grid; a group of values shares the grid's step and base:
//
//     value = code * step + base
//
// half_scale (symmetric): step is a float16 number times 2^-3, 2^-7 or 2^-8 (half_unit), base = -middle * step.
// e4m3_pair (asymmetric): step and base (the group's minimum) are e4m3 numbers times a power of two that all groups of
// a head share, so that neither range nor offset of the values leaves what e4m3 can hold. Float8 codes
// (ScalarCode::e4m3) are numbers themselves: value = number * step. A group runs along the channels of one token or
// along the tokens of one channel, never over two heads, nor over keys and values. With two stages the second stores
// what the first one left.
//
// Planes are head-major and begin on multiples of kScalarAlignment bytes:
//
//     header   64 bytes, ScalarPageHeader
//     codes    [stages][heads][tokens][head_dim * bits / 8]  first channel in the highest bits of the first byte
//     scales   [stages][heads][tokens][groups]      channel axis, float16 or e4m3
//              [stages][heads][groups][head_dim]    token axis
//     minima   the same, e4m3                                e4m3_pair only
//     reach    [heads][2] float32                            e4m3_pair only: what bounds the head's steps and minima

#include "quant/plain/host_device.hpp"

#include <cstdint>

namespace wander::quant::scalar {

inline constexpr std::int64_t kScalarAlignment = 64;
inline constexpr std::uint32_t kScalarMagic = 0x31434353; // "SCC1"
inline constexpr int kScalarMaxHeadDim = 256;
inline constexpr int kScalarChannels = 16; // divides every head dimension that is taken
inline constexpr int kMaxStages = 2;

enum class ScalarCode : std::uint8_t { two_bit, four_bit, eight_bit, e4m3 };
enum class GroupAxis : std::uint8_t { channel, token };
enum class GroupParameters : std::uint8_t { half_scale, e4m3_pair };

WANDER_HOST_DEVICE constexpr int code_bits(ScalarCode code) {
    return code == ScalarCode::two_bit ? 2 : code == ScalarCode::four_bit ? 4 : 8;
}

// How a format stores keys, or values.
struct ScalarRule {
    ScalarCode code = ScalarCode::eight_bit;
    GroupAxis axis = GroupAxis::channel;
    GroupParameters parameters = GroupParameters::half_scale;
    int group = 0;            // longest group; 0: the whole head
    bool even_groups = false; // token axis: groups as equal as the page's length allows
    bool rotated = false;     // orthonormal Walsh-Hadamard transform over the head dimension first
    int stages = 1;           // 2: token axis only
    std::uint8_t id = 0;      // in the header

    bool operator==(const ScalarRule&) const = default;
};

struct ScalarPageHeader {
    std::uint32_t magic = kScalarMagic;
    std::uint16_t version = 1;
    std::uint8_t format = 0; // ScalarRule::id
    std::uint8_t is_key = 0;
    std::uint32_t tokens = 0;
    std::uint32_t heads = 0;
    std::uint32_t head_dim = 0;
    std::uint32_t group = 0;
    std::uint64_t total_bytes = 0;
    std::uint8_t reserved[32] = {};
};
static_assert(sizeof(ScalarPageHeader) == 64);

struct ScalarPageLayout {
    ScalarRule rule;
    int tokens = 0;
    int heads = 0;
    int head_dim = 0;
    int group = 0;  // length
    int groups = 0; // of a token, or of a channel; the last one of a channel may be shorter
    int row_bytes = 0;
    std::int64_t codes_at = 0; // byte offsets of the planes
    std::int64_t scales_at = 0;
    std::int64_t minima_at = 0;
    std::int64_t reach_at = 0;
    std::int64_t total_bytes = 0;

    WANDER_HOST_DEVICE constexpr bool pair() const { return rule.parameters == GroupParameters::e4m3_pair; }
    WANDER_HOST_DEVICE constexpr int scale_size() const { return pair() ? 1 : 2; }
    WANDER_HOST_DEVICE constexpr int group_end(int index) const { // of a group of tokens
        const int end = (index + 1) * group;
        return end < tokens ? end : tokens;
    }
    WANDER_HOST_DEVICE constexpr std::int64_t code_row(int stage, int head, int token) const {
        return codes_at + ((static_cast<std::int64_t>(stage) * heads + head) * tokens + token) * row_bytes;
    }
    // Index, among scales and minima, of the group that a value belongs to. Neighbouring channels have neighbouring
    // entries on the token axis.
    WANDER_HOST_DEVICE constexpr std::int64_t entry(int stage, int head, int token, int channel) const {
        const std::int64_t at = static_cast<std::int64_t>(stage) * heads + head;
        return rule.axis == GroupAxis::channel ? (at * tokens + token) * groups + channel / group
                                               : (at * groups + token / group) * head_dim + channel;
    }
    constexpr std::int64_t entries() const {
        return static_cast<std::int64_t>(rule.stages) * heads * groups *
               (rule.axis == GroupAxis::channel ? tokens : head_dim);
    }
    constexpr std::int64_t code_bytes() const {
        return static_cast<std::int64_t>(rule.stages) * heads * tokens * row_bytes;
    }
    constexpr std::int64_t parameter_bytes() const { return entries() * 2 + (pair() ? std::int64_t{8} * heads : 0); }
};

constexpr std::int64_t scalar_align(std::int64_t bytes) {
    return (bytes + kScalarAlignment - 1) / kScalarAlignment * kScalarAlignment;
}

// The largest power of two up to `most` that divides the head; 0: the whole head.
constexpr int channel_group(int head_dim, int most) {
    if (most == 0) {
        return head_dim;
    }
    int group = most;
    while (head_dim % group != 0) {
        group /= 2;
    }
    return group;
}

// The largest divisor of the page's length up to `most`, so that no group is short: 4680 -> 120, 336 -> 112, 84 -> 84.
// Where the length has none above most / 2 (primes), as few groups as possible, the last one shorter.
constexpr int even_token_group(int tokens, int most) {
    for (int group = most < tokens ? most : tokens; group > most / 2; --group) {
        if (tokens % group == 0) {
            return group;
        }
    }
    const int groups = (tokens + most - 1) / most;
    return (tokens + groups - 1) / groups;
}
static_assert(even_token_group(4680, 128) == 120 && even_token_group(336, 128) == 112 &&
              even_token_group(84, 128) == 84 && even_token_group(131, 128) == 66 && even_token_group(1, 128) == 1);

// tokens and heads at least 1, head_dim a multiple of kScalarChannels.
constexpr ScalarPageLayout scalar_page_layout(const ScalarRule& rule, int tokens, int heads, int head_dim) {
    ScalarPageLayout layout;
    layout.rule = rule;
    layout.tokens = tokens;
    layout.heads = heads;
    layout.head_dim = head_dim;
    layout.row_bytes = head_dim * code_bits(rule.code) / 8;
    if (rule.axis == GroupAxis::channel) {
        layout.group = channel_group(head_dim, rule.group);
        layout.groups = head_dim / layout.group;
    } else {
        layout.group = rule.even_groups ? even_token_group(tokens, rule.group) : rule.group;
        layout.groups = (tokens + layout.group - 1) / layout.group;
    }
    layout.codes_at = static_cast<std::int64_t>(sizeof(ScalarPageHeader));
    layout.scales_at = scalar_align(layout.codes_at + layout.code_bytes());
    layout.minima_at = scalar_align(layout.scales_at + layout.entries() * layout.scale_size());
    layout.reach_at = scalar_align(layout.minima_at + (layout.pair() ? layout.entries() : 0));
    layout.total_bytes = scalar_align(layout.reach_at + (layout.pair() ? std::int64_t{8} * heads : 0));
    return layout;
}

} // namespace wander::quant::scalar
