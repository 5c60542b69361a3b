#pragma once
// A tokenizer.json with the structure of umT5's: the same special ids, tags, byte pieces and added tokens at the same
// places, but pieces made up here. docs/models.md says what the real file is.

#include <string>

namespace wander::test {

// pieces: all of them, `extra_ids` of them <extra_id_N> at the end.
std::string synthetic_tokenizer(int pieces, int extra_ids);

} // namespace wander::test
