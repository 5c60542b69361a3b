#include "generator/text/prompt_cache.hpp"

#include "generator/plain/sha256.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <span>
#include <system_error>
#include <utility>

namespace wander {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVersion = "wander prompt 1"; // another encoder arithmetic, another number
constexpr const char* kTensor = "embedding";

void hash(Sha256& sha, const std::string& text) {
    sha.update({reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1}); // the zero ends a field
}

std::string checksum(const at::Tensor& dense) {
    Sha256 sha;
    sha.update({static_cast<const std::uint8_t*>(dense.const_data_ptr()), dense.nbytes()});
    return sha.hex();
}

} // namespace

PromptCache::PromptCache(fs::path folder, std::int64_t max_bytes) : folder_(std::move(folder)), max_bytes_(max_bytes) {}

std::string PromptCache::key(const std::string& weights_key, const std::string& computed_by,
                             const std::vector<int>& ids) {
    Sha256 sha;
    for (const std::string& text : {std::string(kVersion), weights_key, computed_by}) hash(sha, text);
    for (const int id : ids) {
        const auto value = static_cast<std::uint32_t>(id);
        const std::array<std::uint8_t, 4> bytes = {
            static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
            static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 24)};
        sha.update(bytes);
    }
    return sha.hex();
}

std::string PromptCache::computed_by(at::Device device, at::ScalarType compute) {
    return std::string(device.is_cuda() ? "cuda " : "cpu ") + c10::toString(compute);
}

std::optional<at::Tensor> PromptCache::find(const std::string& key, std::int64_t tokens, std::int64_t dim) const {
    if (folder_.empty()) return std::nullopt;
    std::error_code ignored;
    if (!fs::exists(file(key), ignored)) return std::nullopt;
    const auto stored = Safetensors::open(file(key));
    // What cannot be read just now (permissions, too many open files) may be sound.
    if (!stored && stored.error().code != ErrorCode::bad_input) return std::nullopt;
    if (stored) {
        const auto tensor = stored->tensor(kTensor, {tokens, dim});
        const auto& notes = stored->header().metadata;
        const auto sum = notes.find("sha256");
        if (tensor && tensor->scalar_type() == at::kBFloat16 && sum != notes.end()) {
            at::Tensor copy = tensor->clone(); // first copied, then checked: the file may change at any time
            if (checksum(copy) == sum->second) {
                fs::last_write_time(file(key), fs::file_time_type::clock::now(), ignored); // used just now
                return copy;
            }
        }
    }
    fs::remove(file(key), ignored);
    return std::nullopt;
}

Result<void> PromptCache::store(const std::string& key, const at::Tensor& embedding) const {
    if (folder_.empty()) return {};
    std::error_code failed;
    fs::create_directories(folder_, failed);
    if (failed)
        return Error{ErrorCode::io, fmt::format("{}: cannot be created: {}", folder_.string(), failed.message())};
    const at::Tensor dense = embedding.to(at::kCPU, at::kBFloat16).contiguous();
    // A name of this process and this call: two that store the same prompt do not write into each other's file.
    static std::atomic<unsigned> counter{0};
    const fs::path fresh = folder_ / fmt::format("{}.{}.{}.new", key, ::getpid(), counter++);
    // A picture waits for this: the disk is not waited for. What a power cut damages has another checksum and is
    // removed when it is looked for.
    auto written = write_safetensors(fresh, {{kTensor, dense}}, {{"sha256", checksum(dense)}}, false);
    if (!written) return written;
    fs::rename(fresh, file(key), failed);
    if (failed) {
        std::error_code ignored;
        fs::remove(fresh, ignored);
        return Error{ErrorCode::io, fmt::format("{}: cannot be written: {}", file(key).string(), failed.message())};
    }
    evict();
    return {};
}

void PromptCache::evict() const {
    struct Entry {
        fs::path path;
        fs::file_time_type used;
        std::int64_t bytes;
    };
    std::vector<Entry> entries;
    std::int64_t total = 0;
    std::error_code ignored;
    const auto now = fs::file_time_type::clock::now();
    for (fs::directory_iterator it(folder_, ignored), end; !ignored && it != end; it.increment(ignored)) {
        std::error_code failed;
        const fs::path& path = it->path();
        const auto used = fs::last_write_time(path, failed);
        const auto bytes = failed ? 0 : static_cast<std::int64_t>(fs::file_size(path, failed));
        if (failed) continue; // another program was quicker
        const std::string extension = path.extension().string();
        if (extension == ".safetensors") {
            entries.push_back({path, used, bytes});
            total += bytes;
        } else if ((extension == ".new" || extension == ".part") && now - used > std::chrono::hours(1)) {
            fs::remove(path, failed); // of a program that was ended while it wrote
        }
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
    for (const Entry& entry : entries) {
        if (total <= max_bytes_) return;
        if (fs::remove(entry.path, ignored)) total -= entry.bytes;
    }
}

} // namespace wander
