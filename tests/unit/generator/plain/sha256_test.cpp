#include "generator/plain/sha256.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace wander {
namespace {

std::string sha256(const std::string& text) {
    Sha256 hash;
    hash.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    return hash.hex();
}

// FIPS 180-4 examples, and the NIST test of a million a.
TEST(Sha256, KnownDigests) {
    EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesOfAnySizeGiveTheSameDigest) {
    std::vector<std::uint8_t> bytes(1000);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
    Sha256 whole;
    whole.update(bytes);
    for (const std::size_t step : {1u, 3u, 63u, 64u, 65u, 200u}) {
        Sha256 pieces;
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            pieces.update(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)));
            (void)pieces.hex(); // asking must not disturb
        }
        EXPECT_EQ(pieces.hex(), whole.hex()) << step;
    }
}

} // namespace
} // namespace wander
