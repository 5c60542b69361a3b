// The World panel: the pictures that a walk starts from, the card, the list of worlds.

#include "gui/layout.hpp"
#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

#include <optional>
#include <string>

namespace wander::gui::test {
namespace {

TEST(Gui, ClickingAPictureOfTheGalleryStartsThere) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 5);
    // The middle column, upper row: below the world's name and the places' names.
    const ImGuiWindow* world = ImGui::FindWindowByName(kWorldPanel);
    const UiFrame frame = click(gui, model, in_panel(kWorldPanel, world->Size.x / 2, 85));
    ASSERT_TRUE(frame.commands.start);
    EXPECT_EQ(*frame.commands.start, "winter_lamps");
}

TEST(Gui, MorePlacesThanColumnsGoBelow) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(3);
    for (const char* name : {"harbour_lagoon", "harbour_lighthouse", "mushrooms_glade"}) {
        const std::string full = name;
        model.session.starts.push_back({full, full.substr(0, full.find('_')), 0, 192.0f / 112.0f});
    }
    frames(gui, model, 5);
    const ImGuiWindow* world = ImGui::FindWindowByName(kWorldPanel);
    EXPECT_GT(world->ScrollMax.y, 50);
    ImGui::SetScrollY(const_cast<ImGuiWindow*>(world), world->ScrollMax.y);
    frames(gui, model, 3);
    // The lowest left picture is the fourth place's second start.
    const UiFrame frame = click(gui, model, in_panel(kWorldPanel, 60, world->InnerRect.GetHeight() - 40));
    ASSERT_TRUE(frame.commands.start);
    EXPECT_EQ(*frame.commands.start, "harbour_lighthouse");
}

TEST(Gui, ThePictureOfTheStartIsBroughtIntoViewOnce) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(3);
    for (const char* name : {"harbour_lagoon", "harbour_lighthouse", "mushrooms_glade"}) {
        const std::string full = name;
        model.session.starts.push_back({full, full.substr(0, full.find('_')), 0, 192.0f / 112.0f});
    }
    model.start = "harbour_lighthouse";
    frames(gui, model, 6);
    ImGuiWindow* world = ImGui::FindWindowByName(kWorldPanel);
    EXPECT_GT(world->ScrollMax.y, 50);
    EXPECT_GT(world->Scroll.y, world->ScrollMax.y - 20);
    ImGui::SetScrollY(world, 0);
    frames(gui, model, 4);
    EXPECT_EQ(world->Scroll.y, 0) << "a person may look at other places";
    model.start = "mushrooms_glade";
    frames(gui, model, 4);
    EXPECT_GT(world->Scroll.y, 40);
    model.start = "village_fountain";
    frames(gui, model, 4);
    EXPECT_LT(world->Scroll.y, 50);
}

TEST(Gui, TheCardIsShownInsteadOfThePlaces) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 5);
    const ImGuiWindow* world = ImGui::FindWindowByName(kWorldPanel);
    click(gui, model, in_panel(kWorldPanel, world->Size.x - 45, 18)); // the button beside the name
    frames(gui, model, 3);
    const UiFrame frame = click(gui, model, in_panel(kWorldPanel, world->Size.x / 2, 85));
    EXPECT_FALSE(frame.commands.start) << "there is no picture any more";
    click(gui, model, in_panel(kWorldPanel, world->Size.x - 45, 18));
    frames(gui, model, 3);
    EXPECT_TRUE(click(gui, model, in_panel(kWorldPanel, world->Size.x / 2, 85)).commands.start);
}

TEST(Gui, AnotherWorldIsChosenFromTheList) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(3);
    model.model_folder = "embedded";
    model.recent_models = {"/home/me/runs/harbour/world"};
    frames(gui, model, 5);
    click(gui, model, in_panel(kWorldPanel, 60, 18));
    frames(gui, model, 3);
    ImGuiIO& io = ImGui::GetIO();
    const ImVec2 second = in_panel(kWorldPanel, 60, 18 + 46); // embedded is the first line
    io.AddMousePosEvent(second.x, second.y);
    frames(gui, model, 2);
    std::optional<std::string> chosen;
    for (const bool down : {true, false}) {
        io.AddMouseButtonEvent(0, down);
        const UiFrame frame = one_frame(gui, model);
        if (frame.commands.model_folder) chosen = frame.commands.model_folder;
    }
    ASSERT_TRUE(chosen);
    EXPECT_EQ(*chosen, model.recent_models[0]);
}

} // namespace
} // namespace wander::gui::test
