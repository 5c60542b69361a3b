#pragma once
// Where everything lies in one packed 2-bit page; usable from host code and kernels. No state, no allocation.
//
// A page holds one layer's K or V of `tokens` tokens. Planes are head-major, so that the rows of one head are
// contiguous, and each begins on a multiple of kQvgAlignment bytes:
//
//     header     64 bytes, see QvgPageHeader
//     codes      [heads][tokens][head_dim / 4]       channel 4j in the two highest bits of byte j, 4j + 3 in the lowest
//     scales     [heads][tokens][head_dim / block]   float8 e4m3fn
//     ids        [heads][id_head_bytes]              id_bits bits a token, lowest bits first
//     centroids  [heads][centroids][head_dim]        bfloat16
//
// value = (code - 1.5) * scale + centroid (four levels) or (code - 1) * scale + centroid (ternary, the published grid).

#include "quant/plain/host_device.hpp"

#include <cstddef>
#include <cstdint>

namespace wander::quant {

inline constexpr std::int64_t kQvgAlignment = 64;
inline constexpr int kQvgMaxCentroids = 256;
inline constexpr int kQvgMaxHeadDim = 512;
inline constexpr std::uint32_t kQvgMagic = 0x31475651; // "QVG1"

enum class QvgGrid : std::uint8_t { ternary = 0, four_level = 2 };

// The code that stands for zero.
WANDER_HOST_DEVICE constexpr float qvg_middle(QvgGrid grid) { return grid == QvgGrid::four_level ? 1.5F : 1.0F; }

struct QvgPageHeader {
    std::uint32_t magic = kQvgMagic;
    std::uint16_t version = 1;
    std::uint8_t grid = 0; // QvgGrid
    std::uint8_t is_key = 0;
    std::uint32_t tokens = 0;
    std::uint32_t heads = 0;
    std::uint32_t head_dim = 0;
    std::uint32_t block = 0;
    std::uint32_t centroids = 0;
    std::uint32_t id_bits = 0;
    std::uint64_t seed = 0;
    std::uint64_t total_bytes = 0;
    std::uint8_t reserved[16] = {};
};
static_assert(sizeof(QvgPageHeader) == 64);

struct QvgPageLayout {
    int tokens = 0;
    int heads = 0;
    int head_dim = 0;
    int block = 0;     // channels that share a scale
    int centroids = 0; // per head
    int id_bits = 0;
    std::int64_t id_head_bytes = 0;
    std::int64_t codes_at = 0; // byte offsets of the planes
    std::int64_t scales_at = 0;
    std::int64_t ids_at = 0;
    std::int64_t centroids_at = 0;
    std::int64_t total_bytes = 0;

    WANDER_HOST_DEVICE constexpr std::int64_t row(int head, int token) const {
        return static_cast<std::int64_t>(head) * tokens + token;
    }
    WANDER_HOST_DEVICE constexpr std::int64_t code_row(int head, int token) const {
        return codes_at + row(head, token) * (head_dim / 4);
    }
    WANDER_HOST_DEVICE constexpr std::int64_t scale_row(int head, int token) const {
        return scales_at + row(head, token) * (head_dim / block);
    }
    WANDER_HOST_DEVICE constexpr std::int64_t centroid_row(int head, int id) const {
        return centroids_at + (static_cast<std::int64_t>(head) * centroids + id) * head_dim * 2;
    }
    constexpr std::int64_t code_bytes() const { return static_cast<std::int64_t>(heads) * tokens * (head_dim / 4); }
    constexpr std::int64_t scale_bytes() const {
        return static_cast<std::int64_t>(heads) * tokens * (head_dim / block);
    }
    constexpr std::int64_t id_bytes() const { return heads * id_head_bytes; }
    constexpr std::int64_t centroid_bytes() const {
        return static_cast<std::int64_t>(heads) * centroids * head_dim * 2;
    }

    // The id of one token. Ids of up to 8 bits touch two bytes at most; the byte behind the plane belongs to the page.
    WANDER_HOST_DEVICE constexpr int id(const std::uint8_t* page, int head, int token) const {
        const std::int64_t bit = static_cast<std::int64_t>(token) * id_bits;
        const std::uint8_t* at = page + ids_at + head * id_head_bytes + (bit >> 3);
        const unsigned pair = static_cast<unsigned>(at[0]) | (static_cast<unsigned>(at[1]) << 8);
        return static_cast<int>((pair >> (bit & 7)) & ((1U << id_bits) - 1U));
    }
};

constexpr std::int64_t qvg_align(std::int64_t bytes) {
    return (bytes + kQvgAlignment - 1) / kQvgAlignment * kQvgAlignment;
}

// Channels a scale: 64, or the whole of a narrower head. 0: no power of two from 16 to 64 divides the head.
constexpr int qvg_block(int head_dim) {
    return head_dim <= 0 ? 0 : head_dim % 64 == 0 ? 64 : head_dim % 32 == 0 ? 32 : head_dim % 16 == 0 ? 16 : 0;
}

// Centroids per head where nothing else is asked for: 4 for 336 tokens, 64 for 4,680, 256 for 37,440. The power of two
// nearest below tokens / 73, at least 1 and at most 256: then centroids take a twelfth of the codes at most (head
// dimension cancels out).
constexpr int qvg_default_centroids(int tokens) {
    int centroids = 1;
    while (centroids < kQvgMaxCentroids && centroids * 2 * 73 <= tokens) {
        centroids *= 2;
    }
    return centroids;
}

// block must not be 0; 1 <= centroids <= 256.
constexpr QvgPageLayout qvg_page_layout(int tokens, int heads, int head_dim, int centroids) {
    QvgPageLayout layout;
    layout.tokens = tokens;
    layout.heads = heads;
    layout.head_dim = head_dim;
    layout.block = qvg_block(head_dim);
    layout.centroids = centroids;
    while ((1 << layout.id_bits) < centroids) {
        ++layout.id_bits;
    }
    layout.id_head_bytes = (static_cast<std::int64_t>(tokens) * layout.id_bits + 7) / 8;
    layout.codes_at = static_cast<std::int64_t>(sizeof(QvgPageHeader));
    layout.scales_at = qvg_align(layout.codes_at + layout.code_bytes());
    layout.ids_at = qvg_align(layout.scales_at + layout.scale_bytes());
    layout.centroids_at = qvg_align(layout.ids_at + layout.id_bytes());
    layout.total_bytes = qvg_align(layout.centroids_at + layout.centroid_bytes());
    return layout;
}

static_assert(qvg_default_centroids(336) == 4 && qvg_default_centroids(4680) == 64 &&
              qvg_default_centroids(37440) == 256);

} // namespace wander::quant
