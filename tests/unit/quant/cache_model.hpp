#pragma once
// What the rules of quant/kv_cache.hpp say, in the plainest form: every latent ever committed, groups found by
// division, formats layer by layer. Independent of the cache but for the values it reads back, from which the model
// learns what a format did to a page (noise of the keys, latents that pruning kept).

#include "quant/format.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wander::test {

class CacheModel {
public:
    explicit CacheModel(const CacheSetup& setup) : setup_(setup), format_(setup.policy.format), rules_(setup.policy) {}

    void clear();
    void select(const std::string& format) { format_ = format; }
    void set_rules(const quant::CacheRules& rules) { rules_ = rules; }
    std::int64_t next() const { return next_; }
    std::vector<std::int64_t> visible(std::int64_t first) const;

    void begin(std::int64_t first);
    // Pages as they are before the chunk's first write(), and behind its commit().
    void before_writes(const quant::KvCache& cache);
    void commit(const quant::KvCache& cache, std::int64_t first, int latents, const std::vector<at::Tensor>& keys,
                const std::vector<at::Tensor>& values);

    const at::Tensor& keys(std::int64_t latent, int layer) const;
    const at::Tensor& values(std::int64_t latent, int layer) const;
    bool untouched(std::int64_t latent, int layer) const; // never packed: holds exactly what was written
    bool pruned(std::int64_t latent, int layer) const;    // stored as one row
    // For dense_attention: one entry a latent; [history * tokens, heads, groups] or undefined.
    std::vector<bool> one_row(const std::vector<std::int64_t>& history, int layer) const;
    at::Tensor noise(const std::vector<std::int64_t>& history, int layer) const;

    std::string cell_format(std::int64_t latent) const;
    bool lossy_history(std::int64_t latent) const;
    std::int64_t bytes() const;
    std::int64_t waiting() const;
    bool used_session_codebooks() const { return used_session_codebooks_; } // their bytes are no page's

private:
    struct LayerPages { // K and V of one layer in one group; they always have the same format
        const quant::PageFormat* format = nullptr;
        bool touched = false;
        at::Tensor noise;  // double [heads, groups] of the keys; undefined: none
        at::Tensor before; // keys of a full group before the last chunk's writes
    };
    struct Group {
        std::int64_t first = 0;
        std::int64_t end = 0;
        bool sink = false;
        bool settled = false;
        bool lossy_history = false;
        std::uint32_t kept = 0xffffffffU;
        std::vector<LayerPages> layers;
    };

    const Group& group_of(std::int64_t latent) const;
    quant::PageShape page_shape(const Group& group, bool is_key) const;
    const quant::PageFormat* target(const Group& group, int layer) const;
    bool done(const Group& group) const;
    void change(const quant::KvCache& cache, Group& group);
    at::Tensor slice(const at::Tensor& rows, int latent) const;

    CacheSetup setup_;
    std::string format_;
    quant::CacheRules rules_;
    std::int64_t next_ = 0;
    bool used_session_codebooks_ = false;
    std::map<std::int64_t, std::vector<at::Tensor>> keys_, values_; // by latent, then layer
    std::map<std::int64_t, Group> groups_;                          // by first latent
};

} // namespace wander::test
