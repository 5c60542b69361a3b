#include "generator/hunyuan/hunyuan_prompt_files.hpp"

#include "generator/models/converted_part.hpp"
#include "generator/text/byt5_encoder.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

namespace wander {
namespace {

template <typename Config>
Result<HunyuanEncoderPart<Config>> encoder_part(const Config& config, const CheckpointPart& part,
                                                std::vector<std::string>& notes) {
    auto key = source_key(part.file);
    if (!key) return key.error();
    if (const std::string extras = part.extras_text(); !extras.empty()) {
        notes.push_back(fmt::format("{}: {}", part.file.path().string(), extras));
    }
    return HunyuanEncoderPart<Config>{config, part.source, *key};
}

} // namespace

HunyuanPromptPlaces HunyuanPromptPlaces::in(const std::filesystem::path& folder) {
    std::error_code ignored;
    const auto exists = [&](const std::filesystem::path& path) { return std::filesystem::exists(path, ignored); };
    HunyuanPromptPlaces places;
    places.text = folder / "text_encoder/llm";
    places.vision = folder / "vision_encoder/siglip/image_encoder";
    if (!exists(places.vision)) places.vision = folder / "vision_encoder/siglip";
    places.glyph = folder / "text_encoder/Glyph-SDXL-v2/checkpoints/byt5_model.pt";
    if (!exists(places.glyph)) places.glyph.clear();
    places.system_prompt = folder / "system_prompt.txt";
    return places;
}

Result<HunyuanPromptFiles> open_hunyuan_prompt_files(const HunyuanPromptPlaces& places, const SystemPromptMark& mark) {
    HunyuanPromptFiles files;
    HunyuanPromptSideOptions& options = files.options;
    options.tokenizer = places.text;
    options.mark = mark;

    auto instruction = read_system_prompt(places.system_prompt, options.mark);
    if (!instruction) return instruction.error();
    options.system_prompt = std::move(*instruction);

    auto text = open_qwen_text(places.text);
    if (!text) return text.error();
    auto text_part = encoder_part(text->config, text->part, files.notes);
    if (!text_part) return text_part.error();
    options.text = std::move(*text_part);

    auto vision = open_siglip(places.vision);
    if (!vision) return vision.error();
    auto vision_part = encoder_part(vision->config, vision->part, files.notes);
    if (!vision_part) return vision_part.error();
    options.vision = std::move(*vision_part);

    if (places.glyph.empty()) return files;
    auto glyph = open_glyph_weights(places.glyph);
    if (!glyph) return glyph.error();
    auto glyph_part = encoder_part(glyph->config, glyph->part, files.notes);
    if (!glyph_part) return glyph_part.error();
    options.glyph = std::move(*glyph_part);
    return files;
}

} // namespace wander
