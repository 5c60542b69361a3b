// The KV memory panel: the list of formats and the legend.

#include "gui/layout.hpp"
#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

namespace wander::gui::test {
namespace {

TEST(Gui, TheDropDownOfFormatsChoosesTheUsableOnesOnly) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(40);
    const int lines = static_cast<int>(model.session.formats.size());
    frames(gui, model, 4);
    const ImGuiWindow* memory = ImGui::FindWindowByName(kMemoryPanel);
    const ImVec2 combo = {memory->Pos.x + 60, memory->ContentRegionRect.Min.y + 10};
    click(gui, model, combo);
    frames(gui, model, 3);
    ASSERT_TRUE(open_combo());
    // The last one is refused: nothing happens, the list stays open.
    EXPECT_FALSE(click(gui, model, line_of(*open_combo(), lines - 1, lines)).commands.format);
    ASSERT_TRUE(open_combo());
    const UiFrame chosen = click(gui, model, line_of(*open_combo(), 2, lines));
    ASSERT_TRUE(chosen.commands.format);
    EXPECT_EQ(*chosen.commands.format, "kivi2");
}

// The prompt's keys and values have a place of their own in the legend, where there are any; kept rows have one below.
TEST(Gui, TheMemoryPanelShowsTextAndKeptRows) {
    Gui gui = make_gui();
    UiModel model = samples::sample_worldplay_model(3);
    frames(gui, model, 4);
    const auto drawn = [] { return ImGui::FindWindowByName(kMemoryPanel)->DrawList->VtxBuffer.Size; };
    const int without = drawn();
    ChunkTelemetry chunk = model.history.newest();
    chunk.ledger.text_bytes = 3'000'000;
    model.history.add(chunk);
    frames(gui, model, 3);
    const int with_text = drawn();
    EXPECT_GT(with_text, without + 4 * 4) << "a square, a name and a figure more";
    chunk.ledger.kept_row_bytes = 9'876'000'000; // "kept 9876 MB" in place of "packed 0.0x"
    model.history.add(chunk);
    frames(gui, model, 3);
    EXPECT_GT(drawn(), with_text);
    EXPECT_EQ(ImGui::FindWindowByName(kMemoryPanel)->ScrollMax.y, 0) << "all of it fits";
}

} // namespace
} // namespace wander::gui::test
