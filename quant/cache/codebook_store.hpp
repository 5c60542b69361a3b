#pragma once
// Session codebooks: centroids that outlive pages. Every (layer, K or V) has its own; a page keeps the version that it
// was packed with alive (Page::codebook), so later versions never change what was packed before.
//
// The first page of a (layer, K or V) trains version 1. Later pages are only assigned to the newest version; every
// kSessionPages-th of them publishes a new one (quant/qvg/page_rules.hpp), layers in turns. What a version holds is a
// function of the pages packed so far, never of time; nothing waits for the device. Worker thread only.

#include "quant/cache/page_arena.hpp"
#include "quant/format.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace wander::quant {

struct Codebook {
    std::uint32_t version = 0; // from 1, of one layer's K or V
    int count = 0;             // centroids per head
    at::Tensor memory;         // uint8, one allocation that holds both:
    at::Tensor centroids;      // bfloat16 [heads, count, head_dim], on the cache's device
    at::Tensor weights;        // float32 [heads, count], tokens behind each centroid, older ones decayed

    std::int64_t bytes() const { return static_cast<std::int64_t>(memory.nbytes()); }
};

// What a format with a session codebook can do beside packing. Both fill `out`, whose tensors have their sizes; pages
// of one call have one shape.
class CodebookTrainer {
public:
    virtual ~CodebookTrainer() = default;
    virtual int codebook_centroids(const PageShape& shape, const EncodeOptions& options) const = 0;
    virtual void train(const std::vector<EncodeJob>& first_pages, const std::vector<Codebook*>& out) const = 0;
    // page: packed with `before`, which is its options' codebook.
    virtual void update(const EncodeJob& page, const Codebook& before, Codebook& out) const = 0;
};

class CodebookStore {
public:
    // Codebooks count in the arena's sums; it must outlive them and the pages that hold them.
    explicit CodebookStore(PageArena& arena) : arena_(arena) {}

    // The versions for pages about to be packed, of different layers or kinds; layers: theirs.
    std::vector<std::shared_ptr<const Codebook>> for_pages(const CodebookTrainer& trainer,
                                                           const std::vector<int>& layers,
                                                           const std::vector<EncodeJob>& pages);
    std::shared_ptr<const Codebook> for_page(const CodebookTrainer& trainer, int layer, const EncodeJob& page) {
        return for_pages(trainer, {layer}, {page}).front();
    }
    // After it was packed; may publish the next version.
    void note_packed(const CodebookTrainer& trainer, int layer, const EncodeJob& page);

    void clear() { books_.clear(); }
    // Forgets those that no page holds, when no format that is in use wants them any more.
    void drop_unused();
    void for_each(const std::function<void(bool is_key, const std::shared_ptr<const Codebook>&)>& visit) const;

private:
    struct Newest {
        std::shared_ptr<const Codebook> book;
        int pages = 0; // packed since it was published
    };
    std::shared_ptr<Codebook> make(const PageShape& shape, int count, std::uint32_t version);

    PageArena& arena_;
    std::map<std::pair<int, bool>, Newest> books_; // by layer and K or V
};

} // namespace wander::quant
