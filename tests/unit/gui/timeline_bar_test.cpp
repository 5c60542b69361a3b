// The bar below the world: recording and the cells of the pages.

#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

namespace wander::gui::test {
namespace {

TEST(Gui, ClickingRecRecordsUnlessThatIsImpossible) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(3);
    frames(gui, model, 4);
    const ImVec2 rec = {40, kHeight - 22};
    EXPECT_TRUE(click(gui, model, rec).commands.toggle_record);
    model.recording.unavailable = "no encoder";
    EXPECT_FALSE(click(gui, model, rec).commands.toggle_record);
}

TEST(Gui, CellsOfSeveralFormatsAndWithALossyHistoryAreDrawn) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(1);
    ChunkTelemetry chunk = samples::sample_chunk(40, true);
    frames(gui, model, 3);
    for (PageCell& page : chunk.pages) {
        page.lossy_history = true;
        if (!page.sink && page.format != "open") page.format = "int8 / kivi2 / unheard-of";
    }
    model.history.add(chunk);
    frames(gui, model, 3);
    ImGui::GetIO().AddMousePosEvent(kWidth / 2, kHeight - 28);
    frames(gui, model, 3);
    EXPECT_TRUE(ImGui::GetDrawData()->Valid);
}

} // namespace
} // namespace wander::gui::test
