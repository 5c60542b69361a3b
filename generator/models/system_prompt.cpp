#include "generator/models/system_prompt.hpp"

#include "generator/models/converted_part.hpp"
#include "generator/models/python_literals.hpp"
#include "generator/plain/sha256.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <span>

namespace wander {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "system_prompt.txt";
constexpr std::uintmax_t kMaxBytes = 16 << 20; // of source code

std::string hash_of(std::string_view text) {
    Sha256 hash;
    hash.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    return hash.hex();
}

std::optional<std::string> read_text(const fs::path& path) {
    std::error_code failed;
    if (!fs::is_regular_file(path, failed) || fs::file_size(path, failed) > kMaxBytes || failed) return std::nullopt;
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) return std::nullopt;
    return text;
}

} // namespace

Result<std::string> find_system_prompt(const fs::path& python_file, std::string_view sha256) {
    const auto source = read_text(python_file);
    if (!source)
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: is no file of source code that can be read", python_file.string())};
    if (hash_of(*source) == sha256) return *source;
    for (std::string& text : python_literals(*source)) {
        if (hash_of(text) == sha256) return std::move(text);
    }
    return Error{ErrorCode::bad_input,
                 fmt::format("{}: holds no text whose SHA-256 is {}; give the file of the model's own code that holds "
                             "the instruction for videos, hyvideo/models/text_encoders/__init__.py of HY-WorldPlay",
                             python_file.string(), sha256)};
}

Result<fs::path> keep_system_prompt(const fs::path& model, const std::string& text) {
    const auto folder = converted_target(model);
    if (!folder) return folder.error();
    std::error_code failed;
    fs::create_directories(*folder, failed);
    const fs::path path = *folder / kName;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    if (!file) return Error{ErrorCode::io, fmt::format("{}: cannot be written", path.string())};
    return path;
}

Result<std::string> read_system_prompt(const fs::path& model, std::string_view sha256) {
    for (const fs::path& folder : converted_folders(model)) {
        const auto text = read_text(folder / kName);
        if (text && hash_of(*text) == sha256) return *text;
        if (text)
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: is not the text it should be; run wander convert {} --system-prompt-from "
                                     "FILE.py again",
                                     (folder / kName).string(), model.string())};
    }
    return Error{ErrorCode::bad_input,
                 fmt::format("{}: the instruction that the text encoder reads before every prompt is missing. It comes "
                             "with no model; take it out of the model's own code: wander convert {} "
                             "--system-prompt-from HY-WorldPlay/hyvideo/models/text_encoders/__init__.py",
                             model.string(), model.string())};
}

} // namespace wander
