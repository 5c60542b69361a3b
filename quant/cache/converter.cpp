#include "quant/cache/converter.hpp"

#include "quant/cache/frame_importance.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <utility>

namespace wander::quant {
namespace {

constexpr std::uint32_t kUndecided = 0xffffffffU; // PageGroup::kept

} // namespace

void Converter::plan(std::int64_t first_latent, int latents) {
    std::vector<Planned> before = std::move(plan_);
    plan_.clear();
    planned_format_ = format_;
    twin_turns_.clear(); // a chunk begins with everything joined
    attentions_ = 0;
    next_twins_ = 0;
    for (PageGroup* group : due(first_latent, latents)) add_to_plan(*group, before);
    int visits = policy_.convert_groups_per_commit;
    for (auto& group : table_.groups()) {
        if (visits > 0 && group->settled && !is_done(*group, format_)) {
            add_to_plan(*group, before);
            --visits;
        }
    }
    for (Planned& planned : before) {
        drop_twins(planned);
    }
    sketch_latents();
}

std::vector<PageGroup*> Converter::due(std::int64_t first_latent, int latents) const {
    const std::int64_t recent = first_latent - static_cast<std::int64_t>(policy_.keep_recent - 1) * latents;
    std::vector<PageGroup*> groups;
    for (const auto& group : table_.groups()) {
        const bool kept = group->sink && policy_.keep_sink;
        if (!kept && !group->settled && group->full() && group->end_latent() <= recent) groups.push_back(group.get());
    }
    return groups;
}

void Converter::add_to_plan(PageGroup& group, std::vector<Planned>& before) {
    const auto same = std::find_if(before.begin(), before.end(), [&](const Planned& p) { return p.group == &group; });
    if (same != before.end()) {
        plan_.push_back(std::move(*same));
        before.erase(same);
        return;
    }
    Planned planned;
    planned.group = &group;
    planned.keys.resize(group.keys.size());
    planned.values.resize(group.values.size());
    plan_.push_back(std::move(planned));
}

std::int64_t Converter::twin_bytes() const {
    std::int64_t bytes = 0;
    for (const Planned& planned : plan_) {
        const PageGroup& group = *planned.group;
        for (std::size_t layer = 0; policy_.pack_beside && layer < group.keys.size(); ++layer) {
            const PageFormat* format = target(group, static_cast<int>(layer), planned_format_);
            if (!format->packed()) continue;
            for (const bool is_key : {true, false}) {
                const bool twin = !(is_key ? group.keys : group.values)[layer].format->packed();
                bytes += twin ? format->bytes(codec_.page_shape(group, is_key), {}).total() : 0;
            }
        }
    }
    return bytes;
}

// The pages are there, so the device can look at them while the chunk's passes are handed over.
void Converter::sketch_latents() {
    for (Planned& planned : plan_) {
        PageGroup& group = *planned.group;
        if (group.kept != kUndecided) continue;
        for (std::size_t layer = 0; layer < group.keys.size(); ++layer) {
            const int index = static_cast<int>(layer);
            if (!needs_change(group, index) || !target(group, index, planned_format_)->prunes()) continue;
            packing_.pack(PackStream::kNoPages, [&] {
                std::vector<at::Tensor> sketches;
                sketches.reserve(static_cast<std::size_t>(group.capacity));
                for (int latent = 0; latent < group.capacity; ++latent) {
                    sketches.push_back(importance_sketch(codec_.read(group, index, true, latent, 1)));
                }
                planned.sketches.emplace(at::stack(sketches));
            });
            break;
        }
    }
}

void Converter::decide_latents(Planned& planned) {
    if (planned.sketches) {
        planned.group->kept = important_latents(planned.sketches->wait());
        planned.sketches.reset();
    }
}

void Converter::attention_begins() {
    if (!policy_.pack_beside || plan_.empty() || attentions_++ % kAttentionsALayer != 0) return;
    const int layers = static_cast<int>(plan_.front().group->keys.size());
    // What a pruning format keeps is on its way to the host, which should not wait before a whole pass is handed over.
    const bool undecided =
        std::any_of(plan_.begin(), plan_.end(), [](const Planned& p) { return p.sketches.has_value(); });
    if (undecided && attentions_ <= layers) return;
    for (; next_twins_ < layers; ++next_twins_) {
        std::vector<Planned*> wanting;
        for (Planned& planned : plan_) {
            if (wants_twins(planned, next_twins_)) wanting.push_back(&planned);
        }
        if (wanting.empty()) continue;
        const PackStream::Ticket turn = packing_.pack(PackStream::kNoPages, [&] {
            for (Planned* planned : wanting) make_twins(*planned, next_twins_);
        });
        twin_turns_.resize(static_cast<std::size_t>(next_twins_));
        twin_turns_.push_back(turn);
        ++next_twins_;
        return;
    }
}

bool Converter::wants_twins(Planned& planned, int layer) {
    PageGroup& group = *planned.group;
    const PageFormat* format = target(group, layer, planned_format_);
    return format->packed() && !PageRef{&group, layer, true}.page().format->packed() &&
           planned.twin({&group, layer, true}).format != format;
}

void Converter::make_twins(Planned& planned, int layer) {
    PageGroup& group = *planned.group;
    const PageFormat* format = target(group, layer, planned_format_);
    if (format->prunes()) decide_latents(planned);
    const std::vector<PageRef> refs = {{&group, layer, true}, {&group, layer, false}};
    std::vector<Page> twins = codec_.convert(refs, *format, arena_, codebooks_);
    for (std::size_t i = 0; i < refs.size(); ++i) {
        Page& twin = planned.twin(refs[i]);
        arena_.release(twin.bytes); // of another format, from an abandoned chunk
        twin = std::move(twins[i]);
    }
}

void Converter::leave_layer(int layer) {
    // The passes go on reading the page until its twin is there. Turns behind that one may still be under way.
    if (layer < std::ssize(twin_turns_)) packing_.join_turn(twin_turns_[static_cast<std::size_t>(layer)]);
    for (Planned& planned : plan_) take_twins(planned, layer);
    const bool more = std::any_of(plan_.begin(), plan_.end(),
                                  [&](const Planned& planned) { return needs_change(*planned.group, layer); });
    if (!more) return;
    packing_.pack(layer, [&] {
        for (Planned& planned : plan_) change(planned, layer, layer + 1);
    });
}

void Converter::take_twins(Planned& planned, int layer) {
    const PageFormat* format = target(*planned.group, layer, planned_format_);
    for (const bool is_key : {true, false}) {
        const PageRef ref{planned.group, layer, is_key};
        Page& twin = planned.twin(ref);
        if (twin.format == format) replace(ref, std::exchange(twin, {}));
    }
}

void Converter::replace(const PageRef& ref, Page page) {
    ref.group->lossy_history = ref.group->lossy_history || !ref.page().format->lossless();
    arena_.release(ref.page().bytes);
    ref.page() = std::move(page);
    table_.note_change();
}

void Converter::drop_twins(Planned& planned) {
    for (auto* twins : {&planned.keys, &planned.values}) {
        for (Page& twin : *twins) arena_.release(twin.bytes);
    }
}

void Converter::finish(std::int64_t first_latent, int latents) {
    // Where not even the newest chunk is kept, its own groups: they are full only now.
    std::vector<Planned> none;
    const std::size_t planned_before = plan_.size();
    for (PageGroup* group : due(first_latent, latents)) {
        const bool planned =
            std::any_of(plan_.begin(), plan_.end(), [&](const Planned& p) { return p.group == group; });
        if (!planned) add_to_plan(*group, none);
    }
    if (plan_.size() > planned_before) sketch_latents();
    if (policy_.pack_beside) {
        for (int layer = 0; !plan_.empty() && layer < static_cast<int>(plan_.front().group->keys.size()); ++layer) {
            leave_layer(layer);
        }
    } else if (!plan_.empty()) {
        packing_.pack(PackStream::kNoPages, [&] {
            for (Planned& planned : plan_) change(planned, 0, static_cast<int>(planned.group->keys.size()));
        });
    }
    packing_.join();
    for (Planned& planned : plan_) planned.group->settled = true;
    forget_plan();
    if (!wants_codebooks()) {
        codebooks_.drop_unused();
    }
}

void Converter::forget_plan() {
    for (Planned& planned : plan_) drop_twins(planned);
    plan_.clear();
}

bool Converter::wants_codebooks() const {
    const FormatRegistry& registry = FormatRegistry::instance();
    return format_->uses_session_codebook() ||
           (format_->packed() &&
            std::any_of(policy_.layer_formats.begin(), policy_.layer_formats.end(), [&](const LayerFormat& entry) {
                return registry.find(entry.format)->uses_session_codebook();
            }));
}

std::int64_t Converter::waiting() const {
    return std::count_if(table_.groups().begin(), table_.groups().end(),
                         [this](const auto& group) { return group->settled && !is_done(*group, format_); });
}

// An uncompressed cache is uncompressed in every layer. A group that its format cannot hold (the sink may be shorter
// than a page) stays as it is.
const PageFormat* Converter::target(const PageGroup& group, int layer, const PageFormat* selected) const {
    const PageFormat* raw = FormatRegistry::instance().find("bf16");
    const PageFormat* format = selected;
    if (selected->packed()) {
        for (const LayerFormat& entry : policy_.layer_formats) {
            if (layer >= entry.first_layer && layer <= entry.last_layer) {
                format = FormatRegistry::instance().find(entry.format);
            }
        }
    }
    const bool fits =
        format->supports(codec_.page_shape(group, true)) && format->supports(codec_.page_shape(group, false));
    return fits ? format : raw;
}

bool Converter::is_done(const PageGroup& group, const PageFormat* selected) const {
    for (std::size_t layer = 0; layer < group.keys.size(); ++layer) {
        const PageFormat* format = target(group, static_cast<int>(layer), selected);
        if (group.keys[layer].format != format || group.values[layer].format != format) {
            return false;
        }
    }
    return true;
}

bool Converter::needs_change(const PageGroup& group, int layer) const {
    const PageFormat* format = target(group, layer, planned_format_);
    const auto index = static_cast<std::size_t>(layer);
    return group.keys[index].format != format || group.values[index].format != format;
}

// Layers [first_layer, end_layer), in batches.
void Converter::change(Planned& planned, int first_layer, int end_layer) {
    PageGroup& group = *planned.group;
    std::vector<PageRef> batch;
    const PageFormat* batch_format = nullptr;
    const auto flush = [&] {
        if (batch.empty()) return;
        std::vector<Page> pages = codec_.convert(batch, *batch_format, arena_, codebooks_);
        for (std::size_t i = 0; i < batch.size(); ++i) replace(batch[i], std::move(pages[i]));
        batch.clear();
    };
    for (int layer = first_layer; layer < end_layer; ++layer) {
        const PageFormat* format = target(group, layer, planned_format_);
        for (const bool is_key : {true, false}) {
            const PageRef ref{&group, layer, is_key};
            if (ref.page().format == format) {
                continue;
            }
            if (format->prunes()) decide_latents(planned);
            if (format != batch_format) {
                flush();
                batch_format = format;
            }
            batch.push_back(ref);
            if (batch.size() >= codec_.batch_pages(group, ref.page(), *format)) {
                flush();
            }
        }
    }
    flush();
}

} // namespace wander::quant
