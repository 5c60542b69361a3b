#pragma once
// Where everything lies in one packed 2-bit page; usable from host code and kernels. No state, no allocation.
//
// A page holds one layer's K or V of `tokens` tokens. Planes are head-major, so that the rows of one head are
// contiguous, and each begins on a multiple of kQvgAlignment bytes:
//
//     header     64 bytes, see QvgPageHeader
//     codes      [heads][tokens][head_dim / 4]       channel 4j in the two highest bits of byte j, 4j + 3 in the lowest
//     scales     [heads][tokens][head_dim / block]   float8 e4m3fn
//     ids        [stages][heads][id_head_bytes]      id_bits bits a token, lowest bits first
//     centroids  [stages][heads][centroids][head_dim] bfloat16
// and, of formats that have them,
//     book ids   [heads][book_id_head_bytes]         book_id_bits bits a token: which centroid of the session codebook
//     basis      [heads][rank][head_dim]             bfloat16
//     spans      [heads][rank]                       float32
//     weights    [heads][tokens][rank]               signed bytes
//
// value = (code - 1.5) * scale + centroid (four levels) or (code - 1) * scale + centroid (ternary, the published grid);
// then the centroids of the other stages are added, in order, the session's centroid, and weight * span * basis of each
// rank, in order. With a session codebook or a basis the page has one centroid of its own, the mean of its tokens.
// A session codebook (quant/cache/codebook_store.hpp) is bfloat16 [heads][book_centroids][head_dim], outside the page.

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
    std::uint8_t more_stages = 0; // stages after the first
    std::uint8_t reserved[3] = {};
    std::uint32_t codebook_version = 0; // of the session codebook; 0: none
    std::uint32_t book_centroids = 0;
    std::uint32_t rank = 0;
};
static_assert(sizeof(QvgPageHeader) == 64);

struct QvgPageLayout {
    int tokens = 0;
    int heads = 0;
    int head_dim = 0;
    int block = 0;          // channels that share a scale
    int centroids = 0;      // per head and stage
    int stages = 1;         // of clustering: each clusters what the one before left over
    int book_centroids = 0; // of the session codebook, per head; 0: none
    int book_id_bits = 0;
    int rank = 0; // rows of the basis
    int id_bits = 0;
    std::int64_t id_head_bytes = 0;
    std::int64_t codes_at = 0; // byte offsets of the planes
    std::int64_t scales_at = 0;
    std::int64_t ids_at = 0;
    std::int64_t centroids_at = 0;
    std::int64_t book_id_head_bytes = 0;
    std::int64_t book_ids_at = 0;
    std::int64_t basis_at = 0;
    std::int64_t spans_at = 0;
    std::int64_t weights_at = 0;
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
    WANDER_HOST_DEVICE constexpr std::int64_t id_row(int head, int stage) const {
        return ids_at + (static_cast<std::int64_t>(stage) * heads + head) * id_head_bytes;
    }
    WANDER_HOST_DEVICE constexpr std::int64_t centroid_row(int head, int id, int stage = 0) const {
        return centroids_at + ((static_cast<std::int64_t>(stage) * heads + head) * centroids + id) * head_dim * 2;
    }
    constexpr std::int64_t code_bytes() const { return static_cast<std::int64_t>(heads) * tokens * (head_dim / 4); }
    constexpr std::int64_t scale_bytes() const {
        return static_cast<std::int64_t>(heads) * tokens * (head_dim / block);
    }
    constexpr std::int64_t id_bytes() const { return stages * heads * id_head_bytes; }
    constexpr std::int64_t centroid_bytes() const {
        return static_cast<std::int64_t>(stages) * heads * centroids * head_dim * 2;
    }
    constexpr std::int64_t book_id_bytes() const { return heads * book_id_head_bytes; }
    constexpr std::int64_t basis_bytes() const { return static_cast<std::int64_t>(heads) * rank * head_dim * 2; }
    constexpr std::int64_t span_bytes() const { return static_cast<std::int64_t>(heads) * rank * 4; }
    constexpr std::int64_t weight_bytes() const { return static_cast<std::int64_t>(heads) * tokens * rank; }

    WANDER_HOST_DEVICE constexpr std::int64_t book_id_row(int head) const {
        return book_ids_at + head * book_id_head_bytes;
    }
    WANDER_HOST_DEVICE constexpr std::int64_t basis_row(int head, int direction) const {
        return basis_at + (static_cast<std::int64_t>(head) * rank + direction) * head_dim * 2;
    }
    WANDER_HOST_DEVICE constexpr std::int64_t span_row(int head) const {
        return spans_at + static_cast<std::int64_t>(head) * rank * 4;
    }
    WANDER_HOST_DEVICE constexpr std::int64_t weight_row(int head, int token) const {
        return weights_at + row(head, token) * rank;
    }
    // Offset in the session codebook.
    WANDER_HOST_DEVICE constexpr std::int64_t book_row(int head, int id) const {
        return (static_cast<std::int64_t>(head) * book_centroids + id) * head_dim * 2;
    }

    // The id of one token. Ids of up to 8 bits touch two bytes at most; the byte behind the plane belongs to the page.
    WANDER_HOST_DEVICE constexpr int id(const std::uint8_t* page, int head, int token, int stage = 0) const {
        return packed_id(page + id_row(head, stage), token, id_bits);
    }
    WANDER_HOST_DEVICE constexpr int book_id(const std::uint8_t* page, int head, int token) const {
        return packed_id(page + book_id_row(head), token, book_id_bits);
    }

private:
    WANDER_HOST_DEVICE static constexpr int packed_id(const std::uint8_t* ids, int token, int bits) {
        const std::int64_t bit = static_cast<std::int64_t>(token) * bits;
        const std::uint8_t* at = ids + (bit >> 3);
        const unsigned pair = static_cast<unsigned>(at[0]) | (static_cast<unsigned>(at[1]) << 8);
        return static_cast<int>((pair >> (bit & 7)) & ((1U << bits) - 1U));
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

struct QvgStages {
    int stages = 1;
    int block = 0;        // channels a scale: 16, 32 or 64, a divisor of the head dimension; 0: qvg_block()
    bool session = false; // the centroids are those of a session codebook
    int rank = 0;         // rows of a basis
};

constexpr int qvg_id_bits(int centroids) {
    int bits = 0;
    while ((1 << bits) < centroids) {
        ++bits;
    }
    return bits;
}

// block must not be 0; 1 <= centroids <= 256. centroids: of a session codebook where there is one.
constexpr QvgPageLayout qvg_page_layout(int tokens, int heads, int head_dim, int centroids, QvgStages stages = {}) {
    QvgPageLayout layout;
    layout.tokens = tokens;
    layout.heads = heads;
    layout.head_dim = head_dim;
    layout.block = stages.block > 0 ? stages.block : qvg_block(head_dim);
    layout.centroids = stages.session || stages.rank > 0 ? 1 : centroids;
    layout.stages = stages.stages;
    layout.id_bits = qvg_id_bits(layout.centroids);
    layout.book_centroids = stages.session ? centroids : 0;
    layout.book_id_bits = qvg_id_bits(layout.book_centroids);
    layout.book_id_head_bytes = (static_cast<std::int64_t>(tokens) * layout.book_id_bits + 7) / 8;
    layout.rank = stages.rank;
    layout.id_head_bytes = (static_cast<std::int64_t>(tokens) * layout.id_bits + 7) / 8;
    layout.codes_at = static_cast<std::int64_t>(sizeof(QvgPageHeader));
    layout.scales_at = qvg_align(layout.codes_at + layout.code_bytes());
    layout.ids_at = qvg_align(layout.scales_at + layout.scale_bytes());
    layout.centroids_at = qvg_align(layout.ids_at + layout.id_bytes());
    layout.total_bytes = qvg_align(layout.centroids_at + layout.centroid_bytes());
    if (stages.session) { // the reader of ids takes two bytes, so there is one more
        layout.book_ids_at = layout.total_bytes;
        layout.total_bytes = qvg_align(layout.book_ids_at + layout.book_id_bytes() + 1);
    }
    if (stages.rank > 0) {
        layout.basis_at = layout.total_bytes;
        layout.spans_at = qvg_align(layout.basis_at + layout.basis_bytes());
        layout.weights_at = qvg_align(layout.spans_at + layout.span_bytes());
        layout.total_bytes = qvg_align(layout.weights_at + layout.weight_bytes());
    }
    return layout;
}

static_assert(qvg_default_centroids(336) == 4 && qvg_default_centroids(4680) == 64 &&
              qvg_default_centroids(37440) == 256);

} // namespace wander::quant
