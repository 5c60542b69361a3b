#include "generator/models/kept_system_prompt.hpp"

#include "generator/models/converted_part.hpp"

#include <fmt/format.h>

#include <fstream>

namespace wander {
namespace {

constexpr const char* kName = "system_prompt.txt";

} // namespace

Result<std::filesystem::path> keep_system_prompt(const std::filesystem::path& model, const std::string& text) {
    const auto folder = converted_target(model);
    if (!folder) return folder.error();
    std::error_code failed;
    std::filesystem::create_directories(*folder, failed);
    const auto path = *folder / kName;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    if (!file) return Error{ErrorCode::io, fmt::format("{}: cannot be written", path.string())};
    return path;
}

Result<std::filesystem::path> kept_system_prompt_file(const std::filesystem::path& model) {
    for (const auto& folder : converted_folders(model)) {
        std::error_code ignored;
        if (std::filesystem::is_regular_file(folder / kName, ignored)) return folder / kName;
    }
    return Error{ErrorCode::unavailable,
                 fmt::format("{}: the instruction that the text encoder reads before every prompt is missing. It comes "
                             "with no model; take it out of the model's own code: wander convert {} "
                             "--system-prompt-from HY-WorldPlay/hyvideo/models/text_encoders/__init__.py",
                             model.string(), model.string())};
}

Result<std::string> kept_system_prompt(const std::filesystem::path& model, const SystemPromptMark& mark) {
    const auto file = kept_system_prompt_file(model);
    if (!file) return file.error();
    return read_system_prompt(*file, mark);
}

} // namespace wander
