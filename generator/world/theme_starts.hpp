#pragma once
// Start pictures for models that go on from any picture: the themes' start points, drawn at the size that is asked for.
// Any thread.

#include "generator/plain/result.hpp"
#include "generator/walk.hpp"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace wander {

// Of every theme in assets/themes, those with a small picture in assets/world/starts first. Themes that cannot be read
// are left out.
std::vector<StartPoint> theme_starts(const std::filesystem::path& assets);

// [1, 3, height, width] float32 CPU in [-1, 1]. wrong_use lists the names that there are.
Result<at::Tensor> draw_theme_start(const std::filesystem::path& assets, const std::string& name, int width, int height,
                                    int threads);

} // namespace wander
