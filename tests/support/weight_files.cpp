#include "tests/support/weight_files.hpp"

#include "tests/support/torch_archive_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>
#include <utility>

namespace wander::test {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t kPiece = 1 << 20; // elements that are made and written at once
constexpr std::size_t kJob = 32 << 20;  // elements of a safetensors file that one thread writes
constexpr unsigned kMostThreads = 16;

std::size_t elements_of(const std::vector<std::int64_t>& shape) {
    std::size_t count = 1;
    for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
    return count;
}

// job(i) for all i below `count`, on several threads; false once one of them was.
bool in_parallel(std::size_t count, const std::function<bool(std::size_t)>& job) {
    std::atomic<std::size_t> next = 0;
    std::atomic<bool> good = true;
    const auto work = [&] {
        for (std::size_t i = next++; i < count && good; i = next++) {
            if (!job(i)) good = false;
        }
    };
    std::vector<std::jthread> threads;
    const std::size_t most =
        std::min<std::size_t>(std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads), count);
    for (std::size_t i = 1; i < most; ++i) threads.emplace_back(work);
    work();
    threads.clear();
    return good;
}

class OutputFile {
public:
    explicit OutputFile(const std::filesystem::path& path)
        : file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {}
    ~OutputFile() {
        if (file_ >= 0) ::close(file_);
    }
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    bool good() const { return file_ >= 0; }
    bool write(const void* data, std::size_t size, std::uint64_t offset) const {
        const auto* bytes = static_cast<const char*>(data);
        while (size > 0) {
            const ssize_t done = ::pwrite(file_, bytes, size, static_cast<off_t>(offset));
            if (done <= 0) return false;
            bytes += done;
            offset += static_cast<std::uint64_t>(done);
            size -= static_cast<std::size_t>(done);
        }
        return true;
    }
    bool close() { return ::close(std::exchange(file_, -1)) == 0; }

private:
    int file_;
};

// Elements begin .. begin + count of a tensor, at their place in the file; the check sum where it is wanted.
bool write_values(const RandomWeights& weights, const WeightTensor& tensor, std::size_t begin, std::size_t count,
                  const OutputFile& file, std::uint64_t tensor_offset, Crc32* crc) {
    const std::size_t width = dtype_bytes(tensor.dtype);
    std::vector<std::uint8_t> bytes(std::min(kPiece, count) * width);
    for (std::size_t done = 0; done < count; done += kPiece) {
        const std::size_t some = std::min(kPiece, count - done);
        weights.fill(tensor.native, tensor.dtype, tensor.shape, begin + done, some, bytes.data());
        if (crc) crc->update(bytes.data(), some * width);
        if (!file.write(bytes.data(), some * width, tensor_offset + (begin + done) * width)) return false;
    }
    return true;
}

} // namespace

std::vector<WeightTensor> named_tensors(const ShapeTable& shapes, Dtype dtype,
                                        const std::function<std::string(const std::string&)>& name_of) {
    std::vector<WeightTensor> tensors;
    for (const auto& [native, shape] : shapes)
        tensors.push_back({native, name_of ? name_of(native) : native, dtype, shape});
    return tensors;
}

WeightFiles::WeightFiles(const std::filesystem::path& folder, std::uint64_t seed,
                         std::function<void(const std::string& line)> say)
    : folder_(folder), say_(std::move(say)), weights_(seed) {
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    if (failed) error_ = {ErrorCode::io, fmt::format("{}: cannot be made: {}", folder_.string(), failed.message())};
}

bool WeightFiles::fail(const std::string& name) {
    if (!error_) error_ = {ErrorCode::io, fmt::format("{}: cannot be written", (folder_ / name).string())};
    return false;
}

bool WeightFiles::begin(const std::string& name) {
    if (error_) return false;
    if (say_) say_(name);
    std::error_code failed;
    std::filesystem::create_directories((folder_ / name).parent_path(), failed);
    return !failed || fail(name);
}

Result<void> WeightFiles::done() const {
    if (error_) return *error_;
    return {};
}

bool WeightFiles::text(const std::string& name, const std::string& text) {
    if (!begin(name)) return false;
    std::ofstream file(folder_ / name, std::ios::binary);
    file << text << '\n';
    return file.good() || fail(name);
}

bool WeightFiles::torch(const std::string& name, const std::string& outer, const std::vector<WeightTensor>& tensors,
                        bool with_others) {
    if (!begin(name)) return false;
    OutputFile file(folder_ / name);
    if (!file.good()) return fail(name);
    std::vector<SavedTensor> saved;
    for (const WeightTensor& tensor : tensors) saved.push_back({tensor.name, tensor.dtype, tensor.shape});

    // Twice the same archive: first to see where every tensor lies, then with the check sums.
    std::vector<std::uint64_t> offsets(tensors.size());
    std::vector<std::uint32_t> sums(tensors.size());
    const auto write_archive = [&](bool for_real) {
        bool good = true;
        std::uint64_t offset = 0;
        ZipWriter zip([&](const void* data, std::size_t size) {
            if (for_real && data) good = good && file.write(data, size, offset);
            offset += size;
        });
        save_archive(zip, outer, saved, with_others, [&](std::size_t i, const std::string& entry) {
            const SavedTensor& tensor = saved[i];
            offsets[i] =
                zip.hole(entry, static_cast<std::uint64_t>(tensor.elements()) * dtype_bytes(tensor.dtype), sums[i]);
        });
        return good;
    };
    bool good = write_archive(false);
    good = good && in_parallel(tensors.size(), [&](std::size_t i) {
               Crc32 crc;
               const bool written =
                   write_values(weights_, tensors[i], 0, elements_of(tensors[i].shape), file, offsets[i], &crc);
               sums[i] = crc.value();
               return written;
           });
    good = good && write_archive(true) && file.close();
    return good || fail(name);
}

bool WeightFiles::safetensors(const std::string& name, const std::vector<WeightTensor>& tensors) {
    if (!begin(name)) return false;
    OutputFile file(folder_ / name);
    if (!file.good()) return fail(name);
    json header = {{"__metadata__", {{"format", "pt"}}}};
    std::vector<std::uint64_t> offsets;
    std::uint64_t end = 0;
    struct Job {
        std::size_t tensor;
        std::size_t begin;
        std::size_t count;
    };
    std::vector<Job> jobs;
    for (const WeightTensor& tensor : tensors) {
        const std::size_t count = elements_of(tensor.shape);
        for (std::size_t at = 0; at < count; at += kJob)
            jobs.push_back({offsets.size(), at, std::min(kJob, count - at)});
        offsets.push_back(end);
        end += count * dtype_bytes(tensor.dtype);
        header[tensor.name] = {
            {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offsets.back(), end}}};
    }
    std::string head = header.dump();
    head.resize((head.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = head.size();
    bool good = file.write(&length, sizeof length, 0) && file.write(head.data(), length, sizeof length);
    good = good && in_parallel(jobs.size(), [&](std::size_t i) {
               const Job& job = jobs[i];
               return write_values(weights_, tensors[job.tensor], job.begin, job.count, file,
                                   sizeof length + length + offsets[job.tensor], nullptr);
           });
    good = good && file.close();
    return good || fail(name);
}

bool WeightFiles::shards(const std::string& stem, std::size_t count, const std::vector<WeightTensor>& tensors) {
    std::vector<std::vector<WeightTensor>> tables(count);
    json map = json::object();
    std::size_t i = 0;
    const auto file_of = [&](std::size_t shard) {
        return fmt::format("{}-{:05}-of-{:05}.safetensors", std::filesystem::path(stem).filename().string(), shard + 1,
                           count);
    };
    std::uint64_t bytes = 0;
    for (const WeightTensor& tensor : tensors) {
        const std::size_t shard = i++ * count / tensors.size();
        tables[shard].push_back(tensor);
        map[tensor.name] = file_of(shard);
        bytes += TensorInfo{tensor.dtype, tensor.shape}.bytes();
    }
    const auto parent = std::filesystem::path(stem).parent_path();
    for (std::size_t shard = 0; shard < count; ++shard) {
        if (!safetensors((parent / file_of(shard)).string(), tables[shard])) return false;
    }
    return text(stem + ".safetensors.index.json",
                json({{"metadata", {{"total_size", bytes}}}, {"weight_map", map}}).dump(2));
}

} // namespace wander::test
