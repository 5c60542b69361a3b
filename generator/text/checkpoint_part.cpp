#include "generator/text/checkpoint_part.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace wander {
namespace {

// Collects lines for one message.
class Differences {
public:
    void add(std::string text) {
        if (++count_ <= kListed) listed_.push_back(std::move(text));
    }
    bool empty() const { return count_ == 0; }
    std::string text() const {
        std::string all = fmt::format("{}", fmt::join(listed_, "; "));
        if (count_ > kListed) all += fmt::format("; and {} more", count_ - kListed);
        return all;
    }

private:
    static constexpr std::size_t kListed = 4;
    std::vector<std::string> listed_;
    std::size_t count_ = 0;
};

} // namespace

std::string CheckpointPart::extras_text() const {
    std::vector<std::string> groups;
    groups.reserve(extras.size());
    for (const auto& [kind, count] : extras) groups.push_back(fmt::format("{} of {}", count, kind));
    return groups.empty() ? std::string() : fmt::format("not read: {}", fmt::join(groups, ", "));
}

Result<void> CheckpointPart::check(const Shapes& required, const std::string& what) const {
    Differences differences;
    for (const auto& [name, shape] : required) {
        const auto found = shapes.find(name);
        if (found == shapes.end()) {
            differences.add(fmt::format("'{}' is missing", name));
        } else if (found->second != shape) {
            differences.add(
                fmt::format("'{}' is [{}], wanted [{}]", name, fmt::join(found->second, ", "), fmt::join(shape, ", ")));
        }
    }
    for (const auto& [name, shape] : shapes) {
        if (!required.contains(name)) differences.add(fmt::format("'{}' is foreign", name));
    }
    if (differences.empty()) return {};
    return Error{ErrorCode::bad_input,
                 fmt::format("{}: does not hold {}: {}", file.path().string(), what, differences.text())};
}

Result<CheckpointPart> open_checkpoint_part(const TensorFile& file, const TensorRoles& roles, const std::string& what) {
    CheckpointPart part;
    part.file = file;
    auto names = std::make_shared<std::map<std::string, std::string>>(); // native -> in the file
    Differences differences;
    for (const auto& [name, info] : file.tensors()) {
        const TensorRole role = roles(name);
        if (!role.extra.empty()) {
            ++part.extras[role.extra];
        } else if (role.native.empty()) {
            differences.add(fmt::format("'{}' is foreign", name));
        } else if (names->emplace(role.native, name).second) {
            part.shapes[role.native] = info.shape;
        } else if (role.tied && part.shapes[role.native] == info.shape) {
            ++part.extras["tied tables"];
        } else {
            differences.add(fmt::format("'{}' and '{}' are the same", (*names)[role.native], name));
        }
    }
    if (!differences.empty()) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: does not hold {}: {}", file.path().string(), what, differences.text())};
    }
    part.source = [file, names](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        const auto found = names->find(name);
        if (found == names->end()) {
            return Error{ErrorCode::bad_input, fmt::format("{}: no tensor '{}'", file.path().string(), name)};
        }
        return file.tensor(found->second, shape);
    };
    return part;
}

} // namespace wander
