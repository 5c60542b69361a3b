#pragma once
// The tensors of one part of a model under their native names, whatever file and spelling they come in.
//
// Opening reads names and shapes only. A cheap handle; thread safe.

#include "generator/models/part_sizes.hpp"
#include "generator/weights/tensor_file.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace wander {

enum class PartKind {
    transformer,
    vae,
    tiny_vae,
    text_encoder,
    tokenizer,
    text_embedding,
    vision_encoder, // this and the next: HY-WorldPlay 8B alone
    glyph_encoder
};

// Which networks the parts are of: it decides how names are read.
enum class ModelFamily { self_forcing, wan_5b, hunyuan_8b };

// For a person: "transformer", "text encoder".
const char* part_name(PartKind kind);

class PartTensors {
public:
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;

    // Takes the outer entry of a checkpoint (generator_ema, else generator, else all; of WAN-5B generator first),
    // strips wrappers, and translates the names of diffusers and transformers; those of the 8B stay as published.
    // bad_input where two tensors end up with one name.
    static Result<PartTensors> open(const std::filesystem::path& path, PartKind kind,
                                    ModelFamily family = ModelFamily::self_forcing);

    const TensorFile& file() const;
    PartKind kind() const;
    ModelFamily family() const;
    // "generator_ema", or empty.
    const std::string& outer_entry() const;
    bool translated() const; // the names were those of diffusers or transformers
    // Native name -> shape. A name without a native form stays as it is and is foreign to every check.
    const ShapeTable& shapes() const;
    const TensorInfo* info(const std::string& native_name) const;
    std::uint64_t bytes() const; // of the part's tensors as stored
    // "BF16", or "F32 and BF16" where types are mixed.
    std::string dtypes() const;

    Result<at::Tensor> tensor(const std::string& native_name, const std::vector<std::int64_t>& shape) const;
    // For WanDit::load and the like. Keeps the file mapped as long as it lives. Of a WAN-5B transformer the bias of the
    // second attention branch is added into self_attn.o.bias (wan5b_names.hpp).
    TensorSource source() const;
    // Its pages may leave memory.
    void release(const std::string& native_name) const;

    // Exactly `required` must be there, and of `optional` all or nothing; the error lists what is missing, foreign or
    // of another shape, each with its count and first names. `what` completes "does not fit": "the Wan transformer".
    Result<void> check(const ShapeTable& required, const ShapeTable& optional, const std::string& what) const;

private:
    struct State;
    std::shared_ptr<const State> state_;
};

} // namespace wander
