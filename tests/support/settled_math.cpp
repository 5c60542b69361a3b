// Each test is a process of its own: its first functions shall be as exact as all later ones.

#include "generator/vector_math.hpp"

#include <gtest/gtest.h>

namespace {

class SettledMath : public testing::Environment {
    void SetUp() override { wander::settle_vector_math(); }
};

[[maybe_unused]] const auto* const kSettledMath = testing::AddGlobalTestEnvironment(new SettledMath); // gtest owns it

} // namespace
