#pragma once
// Turns a part into the finished MP4 by copying its stream: no loss, index in front. Room-internal.

#include "generator/plain/result.hpp"

#include <filesystem>
#include <map>
#include <string>

namespace wander::render {

// The file appears under its name only when it is complete; one of the same name is replaced. The part stays. Tags of
// the part are kept, `facts` are added. bad_input: the part has no frame that can be read. io: the target cannot be
// written.
Result<void> remux_to_mp4(const std::filesystem::path& part, const std::filesystem::path& file,
                          const std::map<std::string, std::string>& facts);

} // namespace wander::render
