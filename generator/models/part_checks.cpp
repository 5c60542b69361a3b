#include "generator/models/part_checks.hpp"

#include <fmt/format.h>

namespace wander {

Error at_path(const std::filesystem::path& path, const Error& error) {
    return {error.code, path.string() + ": " + error.message};
}

Result<int> described_head_dim(const Description& said, int otherwise, int step) {
    const int head_dim = said.whole("attention_head_dim").value_or(otherwise);
    if (head_dim < step || head_dim % step != 0 || head_dim > 1024)
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: heads of {} channels cannot be used", said.path.string(), head_dim)};
    return head_dim;
}

Result<void> take_description(const Description& said, const std::filesystem::path& weights, DitConfig& dit) {
    if (auto same = said.compare({{"num_attention_heads", dit.heads},
                                  {"num_layers", dit.layers},
                                  {"ffn_dim", dit.ffn},
                                  {"freq_dim", dit.freq_dim},
                                  {"in_channels", dit.channels},
                                  {"out_channels", dit.channels},
                                  {"text_dim", dit.text_dim}},
                                 weights);
        !same)
        return same;
    const int text_len = said.whole("text_len").value_or(dit.text_len);
    if (text_len >= 1 && text_len <= 1 << 14) dit.text_len = text_len;
    return {};
}

Result<void> check_umt5(const ModelPart& part, const DitConfig* transformer, Umt5Config& text) {
    auto found = umt5_of_shapes(part.tensors->shapes());
    if (!found) return at_path(part.path, found.error());
    text = *found;
    if (auto fits =
            part.tensors->check(text.tensor_shapes(), {},
                                fmt::format("the umT5 encoder of {} layers and {} channels", text.layers, text.dim));
        !fits)
        return fits;
    if (transformer && text.dim != transformer->text_dim)
        return Error{ErrorCode::bad_input, fmt::format("{}: gives {} numbers a token, but the transformer takes {}",
                                                       part.path.string(), text.dim, transformer->text_dim)};
    return {};
}

} // namespace wander
