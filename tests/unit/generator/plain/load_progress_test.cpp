#include "generator/plain/load_progress.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

TEST(LoadProgress, SaysWhatIsKnown) {
    EXPECT_EQ(progress_text({.doing = "reading"}), "reading");
    EXPECT_EQ(progress_text({.doing = "reading", .share = 0.429, .seconds_left = 9.2}), "reading, 42 %, 10 s left");
    EXPECT_EQ(progress_text({.doing = "reading", .share = 0, .seconds_left = 130}), "reading, 0 %, 2 min 10 s left");
    EXPECT_EQ(progress_text({.doing = "reading", .share = 1, .seconds_left = 0}), "reading, 100 %");
}

} // namespace
} // namespace wander
