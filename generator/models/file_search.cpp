#include "generator/models/file_search.hpp"

#include "generator/weights/tensor_file.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace wander {
namespace {

namespace fs = std::filesystem;

// Enough for the cache folder of a download tool: models--OWNER--NAME/snapshots/REVISION/vae/FILE.
constexpr int kLevels = 5;
constexpr std::size_t kMaxFolders = 1000;
constexpr std::size_t kMaxFiles = 2000; // with weights

// A shard is read through the index beside it.
bool is_shard(const fs::path& path) {
    const std::string name = path.filename().string();
    const auto of = name.rfind("-of-");
    return of != std::string::npos && of >= 6 && name[of - 6] == '-' && name.ends_with(".safetensors");
}

} // namespace

std::vector<fs::path> find_model_files(const fs::path& folder) {
    std::vector<fs::path> files;
    std::vector<std::pair<fs::path, int>> folders = {{folder, 0}};
    for (std::size_t i = 0; i < folders.size(); ++i) {
        const auto [here, level] = folders[i];
        std::error_code failed;
        for (fs::directory_iterator entry(here, failed); !failed && entry != fs::directory_iterator();
             entry.increment(failed)) {
            const std::string name = entry->path().filename().string();
            if (name.empty() || name[0] == '.') continue;
            std::error_code ignored;
            if (entry->is_directory(ignored)) {
                if (name != "wander" && level < kLevels && folders.size() < kMaxFolders)
                    folders.emplace_back(entry->path(), level + 1);
            } else if (entry->is_regular_file(ignored) && files.size() < kMaxFiles &&
                       (name == "tokenizer.json" || name == "vocab.json" ||
                        (TensorFile::has_known_name(name) && !is_shard(name)))) {
                files.push_back(entry->path());
            }
        }
    }
    // The same whatever order the file system has: what lies higher first.
    std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
        return std::make_pair(std::distance(a.begin(), a.end()), a.native()) <
               std::make_pair(std::distance(b.begin(), b.end()), b.native());
    });
    return files;
}

} // namespace wander
