// The interface as a whole: its fonts, and models that say little or odd things.

#include "tests/support/ui_samples.hpp"
#include "tests/unit/gui/headless_gui.hpp"

#include <cfloat>
#include <string>

namespace wander::gui::test {
namespace {

TEST(Gui, FiguresHaveOneWidth) {
    Gui gui = make_gui();
    frames(gui, samples::sample_model(3), 2);
    ImFont* figures = nullptr;
    for (ImFont* font : ImGui::GetIO().Fonts->Fonts) {
        figures = font; // loaded last
    }
    const float zero = figures->CalcTextSizeA(15, FLT_MAX, 0, "0").x;
    for (const char* c : {"1", "4", "7", "9", ".", "-", " ", "x", "M"}) {
        EXPECT_EQ(figures->CalcTextSizeA(15, FLT_MAX, 0, c).x, zero) << c;
    }
}

TEST(Gui, EmptyAndOddModelsAreDrawn) {
    Gui gui = make_gui({}, 1, "/no/such/folder");
    frames(gui, UiModel{}, 3);
    UiModel model = samples::sample_model(1);
    model.session.camera_steering = false;
    model.session.starts.clear();
    model.session.formats.clear();
    model.format = "unheard-of";
    frames(gui, model, 2);
    ChunkTelemetry nothing;
    model.history.add(nothing);
    frames(gui, model, 2);
    ImGui::GetIO().DisplaySize = {160, 90};
    frames(gui, model, 2);
    gui.toast(ToastKind::error, std::string(3000, 'x'));
    frames(gui, model, 2);
    EXPECT_TRUE(ImGui::GetDrawData()->Valid);
}

} // namespace
} // namespace wander::gui::test
