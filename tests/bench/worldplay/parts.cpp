#include "tests/bench/worldplay/parts.hpp"

#include "generator/hunyuan/hunyuan_dit_weights.hpp"
#include "tests/bench/worldplay/gpu_meter.hpp"

#include <cstdint>
#include <string>

namespace wander::bench {
namespace {

using nlohmann::json;

quant::ReadView view_of(const Model& model, int history, int latents) {
    quant::ReadView view;
    view.prope = true;
    view.first_latent = history;
    view.latents = latents;
    for (int i = 0; i < history + latents; ++i)
        (i < history ? view.history_positions : view.new_positions).push_back(static_cast<float>(i));
    model.net->fill_rope(view, model.rows, model.cols);
    view.history_inverse = at::eye(4).repeat({history, 1, 1});
    view.new_inverse = at::eye(4).repeat({latents, 1, 1});
    view.new_projection = view.new_inverse;
    return view;
}

// One layer's attention of the context pass and of a step behind a full context, in both branches.
json attention_alone(const Model& model, const quant::CachePolicy& policy) {
    const int context = model.schedule.context.latents, latents = kLatentsPerChunk;
    const std::int64_t heads = model.heads, head_dim = model.head_dim, tokens = model.tokens();
    quant::CacheShape shape = model.shape();
    shape.layers = 1;
    auto cache = unwrap(quant::KvCache::create(shape, policy, at::Device(at::kCUDA, 0), at::kBFloat16));
    if (!model.text.empty()) cache->set_text({model.text.front()});
    const std::int64_t text = model.text.empty() ? 0 : kText;
    json result;
    double ms_a_chunk = 0, tflop_a_chunk = 0;
    const auto measure = [&](const char* name, int history, int count, int times) {
        const at::Tensor rows = random_values("rows", {count * tokens, 3, heads, head_dim}).to(at::kBFloat16);
        cache->begin_chunk(view_of(model, history, count));
        const double ms =
            mean_ms(5, [&] { cache->attend(0, rows.select(1, 0), rows.select(1, 1), rows.select(1, 2)); });
        const double queries = static_cast<double>(count * tokens);
        const double keys = static_cast<double>(text + (history + count) * tokens);
        const double tflop = 2 * 4e-12 * static_cast<double>(heads * head_dim) * queries * keys;
        result[name] = {{"ms", ms}, {"tflops", tflop / ms * 1e3}};
        ms_a_chunk += times * ms;
        tflop_a_chunk += times * tflop;
        cache->write(0, rows.select(1, 1), rows.select(1, 2));
    };
    measure("context", 0, context, model.layers - 1);
    cache->commit();
    measure("step", context, latents, 4 * model.layers);
    result["ms_a_chunk"] = ms_a_chunk;
    result["tflops"] = tflop_a_chunk / ms_a_chunk * 1e3;
    return result;
}

// The products of one layer for a step's rows and for the context's.
json products_alone(const Model& model) {
    const auto& w = model.dit->weights();
    json result;
    double ms_a_chunk = 0, tflop_a_chunk = 0;
    const auto as_input = [](const nn::Linear& layer, const at::Tensor& rows) {
        return layer.input_type() == at::kFloat8_e4m3fn ? nn::quantise_rows(rows, false) : nn::Activation{rows, {}};
    };
    const HunyuanBlock& block = w.blocks.front();
    const auto measure = [&](const char* name, int latents, int times) {
        const std::int64_t n = std::int64_t{latents} * model.tokens(), dim = w.config.dim;
        const at::Tensor both = random_values("both", {n, 2 * dim}).to(at::kBFloat16);
        const at::Tensor hidden = random_values("hidden", {n, w.config.mlp}).to(at::kBFloat16);
        const nn::Activation in = as_input(block.qkv, random_values("in", {n, dim}).to(at::kBFloat16));
        const nn::Activation mid = as_input(block.mlp_out, hidden);
        const double ms = mean_ms(10, [&] {
            block.qkv(in);
            block.out.addend({both, {}});
            block.mlp_in.with_gelu(in, block.mlp_out);
            block.mlp_out.addend(mid);
        });
        const double tflop = 2e-12 * static_cast<double>(n * dim) * static_cast<double>(5 * dim + 2 * w.config.mlp);
        result[name] = {{"ms", ms}, {"tflops", tflop / ms * 1e3}};
        ms_a_chunk += times * ms;
        tflop_a_chunk += times * tflop;
    };
    measure("context", 20, w.config.layers - 1);
    measure("step", kLatentsPerChunk, 4 * w.config.layers);
    result["ms_a_chunk"] = ms_a_chunk;
    result["tflops"] = tflop_a_chunk / ms_a_chunk * 1e3;
    return result;
}

} // namespace

nlohmann::json parts_alone(const Model& model) {
    json report;
    if (model.dit) report["products"] = products_alone(model);
    for (const auto type : {quant::AttentionType::bf16, quant::AttentionType::fp8}) {
        for (const std::int64_t slice : {40, 80, 160, 320}) {
            quant::CachePolicy policy;
            policy.attention = type;
            policy.slice_bytes = slice << 20;
            report[std::string("attention, ") + quant::attention_name(type)][std::to_string(slice) + " MiB"] =
                attention_alone(model, policy);
        }
    }
    return report;
}

} // namespace wander::bench
