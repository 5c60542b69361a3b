#include "gui/panels/panels.hpp"
#include "gui/widgets.hpp"

#include <algorithm>

namespace wander::gui {

namespace {

constexpr double kInfoSeconds = 5;
constexpr double kProblemSeconds = 12; // there is more to read, and something to do
constexpr double kFadeSeconds = 0.35;
constexpr float kWidth = 340;

double life_seconds(ToastKind kind) { return kind == ToastKind::info ? kInfoSeconds : kProblemSeconds; }

ImU32 edge(ToastKind kind) {
    return kind == ToastKind::info ? colour::kAccent : kind == ToastKind::warning ? colour::kWarning : colour::kRecord;
}

} // namespace

void toasts(const PanelContext& ui, std::deque<Toast>& queue) {
    const double now = ImGui::GetTime();
    std::erase_if(queue, [&](const Toast& toast) {
        return toast.born_at >= 0 && now - toast.born_at > life_seconds(toast.kind);
    });
    ImDrawList& list = *ImGui::GetForegroundDrawList();
    const float size = ui.px(kSmallSize + 1);
    const ImVec2 padding = {ui.px(14), ui.px(10)};
    const float width = std::min(ui.px(kWidth), ui.world.width - ui.px(28));
    float y = ui.world.y + ui.px(14);
    for (Toast& toast : queue) {
        if (toast.born_at < 0) {
            toast.born_at = now;
        }
        const double age = now - toast.born_at;
        const double left = life_seconds(toast.kind) - age;
        const auto alpha = static_cast<float>(std::clamp(std::min(age, left) / kFadeSeconds, 0.0, 1.0));
        const float wrap = width - 2 * padding.x;
        const char* end = toast.text.data() + toast.text.size();
        const ImVec2 extent = ui.fonts.text->CalcTextSizeA(size, FLT_MAX, wrap, toast.text.data(), end);
        const ImVec2 box = {extent.x + 2 * padding.x, extent.y + 2 * padding.y};
        const ImVec2 at = {ui.world.x + ui.world.width - ui.px(14) - box.x, y};
        list.AddRectFilled(at, {at.x + box.x, at.y + box.y}, colour::with_alpha(IM_COL32(24, 26, 30, 240), alpha),
                           ui.px(6));
        list.AddRectFilled(at, {at.x + ui.px(3), at.y + box.y}, colour::with_alpha(edge(toast.kind), alpha), ui.px(6),
                           ImDrawFlags_RoundCornersLeft);
        list.AddText(ui.fonts.text, size, {at.x + padding.x, at.y + padding.y},
                     colour::with_alpha(colour::kText, alpha), toast.text.data(), end, wrap);
        y += box.y + ui.px(8);
    }
}

} // namespace wander::gui
