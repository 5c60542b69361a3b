#pragma once
// Where the large matrices of an encoder live.

namespace wander {

// resident: on the device. streamed: where the tensor source has them, passed through the device in every encode
// (weight_feed.hpp).
enum class TextPlacement { resident, streamed };

} // namespace wander
