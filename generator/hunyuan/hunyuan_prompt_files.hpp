#pragma once
// The files behind HunyuanPromptSide: where the published downloads put them, opened and checked (names and shapes
// only), with keys of the weights for the cache. Any thread.

#include "generator/hunyuan/hunyuan_prompt_side.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace wander {

struct HunyuanPromptPlaces {
    std::filesystem::path text;          // folder of Qwen2.5-VL-7B-Instruct: weights, config.json, tokenizer
    std::filesystem::path vision;        // folder of SigLIP: weights, config.json
    std::filesystem::path glyph;         // file of Glyph-SDXL-v2; empty: without
    std::filesystem::path system_prompt; // the instruction's own file, or the model's code

    // Below a folder: text_encoder/llm, vision_encoder/siglip/image_encoder (or vision_encoder/siglip),
    // text_encoder/Glyph-SDXL-v2/checkpoints/byt5_model.pt where it is there, and system_prompt.txt.
    static HunyuanPromptPlaces in(const std::filesystem::path& folder);
};

struct HunyuanPromptFiles {
    // The instruction, the tokenizer and the three parts; device, type, placement and cache are the caller's.
    HunyuanPromptSideOptions options;
    std::vector<std::string> notes; // "PATH: not read: 390 of visual, 1 of lm_head"
};

// bad_input: what is missing, damaged or of another model.
Result<HunyuanPromptFiles> open_hunyuan_prompt_files(const HunyuanPromptPlaces& places,
                                                     const SystemPromptMark& mark = {});

} // namespace wander
