#include "app/dropped.hpp"

#include "generator/model_check.hpp"
#include "generator/weights/tensor_file.hpp"

#include <array>
#include <fstream>
#include <utility>

namespace wander {

namespace fs = std::filesystem;

namespace {

// PNG or JPEG by its first bytes, whatever its name is.
bool begins_like_a_picture(const fs::path& file) {
    std::array<unsigned char, 4> head{};
    std::ifstream in(file, std::ios::binary);
    in.read(reinterpret_cast<char*>(head.data()), head.size());
    return head == std::array<unsigned char, 4>{0x89, 'P', 'N', 'G'} ||
           (head[0] == 0xff && head[1] == 0xd8 && head[2] == 0xff);
}

bool belongs_to_a_model(const fs::path& file) {
    const fs::path name = file.filename();
    return name == "world.json" || name == "config.json" || name == "wander-model.json" ||
           TensorFile::has_known_name(file);
}

Error refuse(const fs::path& path, const char* why) { return {ErrorCode::wrong_use, path.string() + ": " + why}; }

} // namespace

Result<Dropped> look_at_dropped(const fs::path& path) {
    // What a browser hands over is an address. Everything else has come from a file:// one, which is whole.
    if (!path.is_absolute()) return refuse(path, "is no file on this computer; save it first and drop the file");
    std::error_code failed;
    const fs::file_status status = fs::status(path, failed);
    if (!fs::exists(status))
        return refuse(
            path, failed && status.type() != fs::file_type::not_found ? "cannot be looked at" : "is no longer there");
    if (fs::is_directory(status) || (fs::is_regular_file(status) && belongs_to_a_model(path))) {
        auto folder = check_model(path);
        if (!folder) return folder.error();
        // A slash at the end would make another folder of it in the list of recent ones.
        return Dropped{Dropped::Kind::model, folder->has_filename() ? *folder : folder->parent_path()};
    }
    if (!fs::is_regular_file(status)) return refuse(path, "is neither a file nor a folder");
    if (path.extension() == ".walk") return Dropped{Dropped::Kind::walk, path};
    if (!begins_like_a_picture(path)) {
        return refuse(path,
                      "is neither a picture (PNG or JPEG) nor a saved walk; to open a world or a model, drop its "
                      "folder");
    }
    if (auto picture = check_start_picture(path); !picture) return picture.error();
    return Dropped{Dropped::Kind::picture, path};
}

DroppedLook::DroppedLook(std::function<void()> wake) : wake_(std::move(wake)) {}

DroppedLook::~DroppedLook() {
    thread_.request_stop();
    changed_.notify_all();
}

void DroppedLook::look(const fs::path& path) {
    {
        const std::lock_guard lock(mutex_);
        wanted_ = path;
    }
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
    changed_.notify_all();
}

std::optional<Result<Dropped>> DroppedLook::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(found_, std::nullopt);
}

void DroppedLook::work(const std::stop_token& stop) {
    for (;;) {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [this] { return wanted_.has_value(); })) return;
        const fs::path path = *std::exchange(wanted_, std::nullopt);
        lock.unlock();
        auto found = look_at_dropped(path);
        lock.lock();
        if (wanted_) continue; // something else was dropped in the meantime
        found_ = std::move(found);
        lock.unlock();
        wake_();
    }
}

} // namespace wander
