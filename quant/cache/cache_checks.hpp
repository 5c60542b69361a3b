#pragma once
// Whether a cache can be as it is asked for. All refuse with wrong_use and say what would do.

#include "generator/plain/result.hpp"
#include "quant/format.hpp"
#include "quant/kv_cache.hpp"

#include <string>

namespace wander::quant {

Result<void> check_shape(const CacheShape& shape, at::Device device, at::ScalarType compute);
// The registered format of that name, if it can pack such pages.
Result<const PageFormat*> find_format(const std::string& name, const CacheShape& shape, at::ScalarType compute);
Result<void> check_rules(const CacheRules& rules, const CacheShape& shape, at::ScalarType compute);

} // namespace wander::quant
