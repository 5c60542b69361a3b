#pragma once
// The language part of Qwen2.5-VL as HunyuanVideo 1.5 uses it (hy-worldplay.md 3.1): token ids to the stream behind the
// last layer but two, hidden_states[-3], without a final norm. Sizes are data; the 7B is the default.
//
// Every position sees itself and what is before it, so padding behind the text could not matter and is never computed.
// bf16, fp16 or float32 products; norms, rotation, softmax and the residual stream are float32 (double when computing
// in double). The published run computes in fp16.
//
// Placement as in umt5_encoder.hpp. The 7B in 16 bits: 12.1 GB resident for 26 layers and 1.09 GB for the embedding
// table; streamed 0.27 GB of buffers on the device.
//
// encode() may run on any one thread at a time, and beside the walk: on a GPU it has streams of its own.

#include "generator/plain/result.hpp"
#include "generator/text/checkpoint_part.hpp"
#include "generator/text/text_placement.hpp"

#include <ATen/core/Tensor.h>
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

struct QwenTextConfig {
    int vocab = 152064; // rows of the embedding table; the tokenizer has fewer tokens
    int dim = 3584;
    int heads = 28;
    int kv_heads = 4; // each serves heads / kv_heads of the queries
    int head_dim = 128;
    int layers = 26;      // that are computed
    int file_layers = 28; // that the checkpoint has
    int ffn = 18944;
    double eps = 1e-6;
    double rope_theta = 1e6;

    // config.json beside the weights, in its older (flat) and newer (text_config) form. bad_input naming `where` and
    // the entry: another architecture, another activation, sizes that do not go together.
    static Result<QwenTextConfig> of_json(const nlohmann::json& json, const std::string& where);
    static Result<QwenTextConfig> read(const std::filesystem::path& config_json);

    // Every tensor that is read, with the checkpoint's name and its shape.
    std::map<std::string, std::vector<std::int64_t>> tensor_shapes() const;
    // For open_checkpoint_part: the extras are the vision tower, lm_head, model.norm and the layers behind the last.
    TensorRole role(std::string_view name) const;
};

class QwenTextEncoder {
public:
    using TensorSource = CheckpointPart::TensorSource;

    // Loads strictly. compute: kFloat, kHalf, kBFloat16, kDouble. streamed keeps the source's tensors (views of a
    // mapped file cost no memory). progress: 0 to 1 while resident weights are copied; may be empty.
    static Result<QwenTextEncoder> load(const QwenTextConfig& config, const TensorSource& source, at::Device device,
                                        at::ScalarType compute, TextPlacement placement,
                                        const std::function<void(double)>& progress = {});

    // [L - crop, dim] float32 (double) on the device, finished when this returns; `crop` rows at the beginning are left
    // out. ids: 0 <= id < vocab, more than `crop`.
    at::Tensor encode(const std::vector<int>& ids, std::size_t crop = 0) const;

    const QwenTextConfig& config() const;

    struct Weights;
    // For tests of the parts (qwen_text_weights.hpp).
    const Weights& weights() const { return *weights_; }

private:
    std::shared_ptr<Weights> weights_;
};

// The checkpoint of a folder: config.json, and model.safetensors.index.json with its shards or model.safetensors.
struct QwenTextFiles {
    QwenTextConfig config;
    CheckpointPart part;
};
Result<QwenTextFiles> open_qwen_text(const std::filesystem::path& folder);

} // namespace wander
