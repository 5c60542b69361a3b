#include "quant/cache/page_counts.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace wander::quant {
namespace {

// One name where all layers agree, else every name in the order of the layers: "int8 / int2".
std::string cell_format(const PageGroup& group) {
    std::vector<std::string_view> names;
    for (const Page& page : group.keys) {
        const std::string_view name = page.format ? page.format->name() : "open";
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            names.push_back(name);
        }
    }
    std::string together;
    for (const std::string_view name : names) {
        together += (together.empty() ? "" : " / ") + std::string(name);
    }
    return together;
}

} // namespace

MemoryLedger count_pages(const PageTable& table, const CodebookStore& codebooks, const CacheShape& shape,
                         std::int64_t first_latent) {
    MemoryLedger ledger;
    std::set<const Codebook*> counted; // versions, each once however many pages hold it
    const auto count_codebook = [&](bool is_key, const std::shared_ptr<const Codebook>& book) {
        if (book && counted.insert(book.get()).second) {
            (is_key ? ledger.keys : ledger.values).codebooks += book->bytes();
            ledger.packed_bytes += book->bytes();
        }
    };
    codebooks.for_each(count_codebook);
    const std::int64_t latent_bf16_bytes =
        static_cast<std::int64_t>(shape.tokens_per_latent) * shape.heads * shape.head_dim * 2 * 2 * shape.layers;
    for (const auto& group : table.groups()) {
        const std::int64_t page_bf16_bytes = group->capacity * latent_bf16_bytes / (2 * shape.layers);
        for (const bool is_key : {true, false}) {
            KindBytes& kind = is_key ? ledger.keys : ledger.values;
            for (const Page& page : is_key ? group->keys : group->values) {
                if (!page.bytes.defined()) {
                    continue;
                }
                const auto bytes = static_cast<std::int64_t>(page.bytes.nbytes());
                if (!page.format->packed()) {
                    kind.open += bytes;
                    continue;
                }
                const std::int64_t noise = page.noise.defined() ? static_cast<std::int64_t>(page.noise.nbytes()) : 0;
                kind.codes += page.parts.codes;
                kind.scales += page.parts.scales;
                kind.codebooks += page.parts.codebooks;
                kind.headers += noise + bytes - page.parts.codes - page.parts.scales - page.parts.codebooks;
                ledger.packed_bytes += noise + bytes;
                count_codebook(is_key, page.codebook);
                ledger.packed_bf16_bytes += page_bf16_bytes;
            }
        }
        for (int i = 0; i < group->held; ++i) {
            if (table.is_visible(group->first_latent + i, first_latent)) {
                ledger.bf16_equivalent_bytes += latent_bf16_bytes;
            }
        }
    }
    return ledger;
}

std::vector<PageCell> page_cells(const PageTable& table, std::int64_t first_latent) {
    std::vector<PageCell> cells;
    for (const auto& group : table.groups()) {
        PageCell cell;
        cell.first_latent = group->first_latent;
        cell.latents = group->held;
        for (int i = 0; i < group->held; ++i) {
            cell.visible_latents += table.is_visible(group->first_latent + i, first_latent) ? 1 : 0;
        }
        cell.format = group->full() || group->sink ? cell_format(*group) : "open";
        cell.sink = group->sink;
        cell.lossy_history = group->lossy_history;
        for (const auto* pages : {&group->keys, &group->values}) {
            for (const Page& page : *pages) {
                if (page.bytes.defined()) cell.bytes += static_cast<std::int64_t>(page.bytes.nbytes());
            }
        }
        cells.push_back(std::move(cell));
    }
    return cells;
}

} // namespace wander::quant
