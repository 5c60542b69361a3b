// Where the panels are, which tab is in front, and that an arrangement is remembered.

#include "gui/layout.hpp"
#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

#include <string>

namespace wander::gui::test {
namespace {

TEST(Gui, FirstRunLayoutPutsTheWorldLeftAndThePanelsInAColumn) {
    Gui gui = make_gui();
    const UiFrame frame = frames(gui, samples::sample_model(40), 4);
    EXPECT_EQ(frame.world.x, 0);
    EXPECT_NEAR(frame.world.width, kWidth - 336, 8);
    EXPECT_GT(frame.world.y, 20);
    EXPECT_LT(frame.world.y + frame.world.height, kHeight - 40);
    EXPECT_GT(frame.world.height, 600);
    float below = 0;
    for (const char* panel : {kMemoryPanel, kLatencyPanel, kWorldPanel}) {
        ASSERT_TRUE(is_drawn(panel)) << panel;
        EXPECT_GT(centre_of(panel).x, frame.world.width);
        EXPECT_GT(centre_of(panel).y, below);
        below = centre_of(panel).y;
    }
}

TEST(Gui, NoPanelNeedsScrollingAtTheFirstSize) {
    Gui gui = make_gui();
    frames(gui, samples::sample_model(148, 60), 6);
    for (const char* panel : {kMemoryPanel, kLatencyPanel, kWorldPanel}) {
        EXPECT_EQ(ImGui::FindWindowByName(panel)->ScrollMax.y, 0) << panel;
    }
}

TEST(Gui, TabHidesEverythingAndTheLayoutReturns) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(40);
    const UiFrame before = frames(gui, model, 4);
    press(gui, Key::tab);
    const UiFrame hidden = frames(gui, model, 3);
    EXPECT_EQ(hidden.world.x, 0);
    EXPECT_EQ(hidden.world.y, 0);
    EXPECT_EQ(hidden.world.width, kWidth);
    EXPECT_EQ(hidden.world.height, kHeight);
    EXPECT_FALSE(is_drawn(kMemoryPanel));
    press(gui, Key::tab);
    const UiFrame after = frames(gui, model, 4);
    EXPECT_EQ(after.world.width, before.world.width);
    EXPECT_EQ(after.world.height, before.world.height);
    EXPECT_TRUE(is_drawn(kWorldPanel));
}

TEST(Gui, TheFrontTabIsWhatAModelIsSteeredBy) {
    Gui gui = make_gui();
    const UiModel world = samples::sample_model(3);
    const UiModel text = samples::sample_text_model(3);
    frames(gui, world, 5);
    EXPECT_TRUE(is_drawn(kWorldPanel));
    EXPECT_FALSE(is_drawn(kSessionPanel));
    frames(gui, text, 5);
    EXPECT_TRUE(is_drawn(kSessionPanel));
    EXPECT_FALSE(is_drawn(kWorldPanel));
    frames(gui, world, 5);
    EXPECT_TRUE(is_drawn(kWorldPanel));
}

TEST(Gui, TheFrontTabIsChosenInARememberedLayoutToo) {
    std::string layout;
    {
        Gui gui = make_gui();
        frames(gui, samples::sample_model(3), 5);
        layout = *gui.take_changed_layout(true);
    }
    Gui gui = make_gui(layout);
    frames(gui, UiModel{}, 5); // nothing is open yet
    frames(gui, samples::sample_model(3), 5);
    EXPECT_TRUE(is_drawn(kWorldPanel));
    frames(gui, samples::sample_text_model(3), 5);
    EXPECT_TRUE(is_drawn(kSessionPanel));
}

TEST(Gui, LayoutAndVisibilitySurviveANewRun) {
    const UiModel model = samples::sample_model(3);
    std::string layout;
    float width = 0;
    {
        Gui gui = make_gui();
        frames(gui, model, 4);
        ImGuiWindow* memory = ImGui::FindWindowByName(kMemoryPanel);
        ImGui::DockBuilderSetNodeSize(memory->DockNode->ParentNode->ID, {450, memory->DockNode->ParentNode->Size.y});
        width = frames(gui, model, 4).world.width;
        layout = *gui.take_changed_layout(true);
    }
    EXPECT_LT(width, kWidth - 440);
    {
        Gui gui = make_gui(layout);
        EXPECT_NEAR(frames(gui, model, 4).world.width, width, 2);
    }
    Gui gui = make_gui("; an older arrangement\n" + layout.substr(layout.find('\n') + 1));
    EXPECT_NEAR(frames(gui, model, 4).world.width, kWidth - 336, 8);
}

TEST(Gui, TwiceTheScaleMakesPanelsTwiceAsWide) {
    Gui gui = make_gui({}, 2);
    ImGui::GetIO().DisplaySize = {2 * kWidth, 2 * kHeight};
    const UiFrame frame = frames(gui, samples::sample_model(40), 4);
    EXPECT_NEAR(frame.world.width, 2 * (kWidth - 336), 14);
    gui.handle(render::ScaleEvent{1});
    frames(gui, samples::sample_model(40), 2);
    EXPECT_NEAR(ImGui::GetFontSize(), 15, 0.5);
}

} // namespace
} // namespace wander::gui::test
