// The panels without a renderer: an ImGui context whose textures are taken without drawing them, frames, mouse and
// keys.

#include "gui/gui.hpp"

#include "gui/layout.hpp"
#include "tests/support/ui_samples.hpp"

#include <gtest/gtest.h>
#include <imgui.h>
#include <imgui_internal.h>

#include <algorithm>
#include <string>

namespace wander::gui {
namespace {

using render::Key;

constexpr float kWidth = 1280;
constexpr float kHeight = 720;

Gui make_gui(std::string layout = {}, float scale = 1, const char* fonts = WANDER_SOURCE_DIR "/assets/fonts") {
    GuiConfig config;
    config.fonts = fonts;
    config.layout = std::move(layout);
    config.content_scale = scale;
    auto made = Gui::create(config);
    EXPECT_TRUE(made);
    ImGuiIO& io = ImGui::GetIO();
    io.BackendFlags |= ImGuiBackendFlags_RendererHasTextures;
    io.DisplaySize = {kWidth, kHeight};
    io.DeltaTime = 1.0f / 60;
    return std::move(*made);
}

// What a renderer does with texture requests, without the renderer.
void accept_textures() {
    for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {
        if (texture->Status == ImTextureStatus_WantCreate || texture->Status == ImTextureStatus_WantUpdates) {
            texture->SetTexID(1);
            texture->SetStatus(ImTextureStatus_OK);
        } else if (texture->Status == ImTextureStatus_WantDestroy) {
            texture->SetTexID(ImTextureID_Invalid);
            texture->SetStatus(ImTextureStatus_Destroyed);
        }
    }
}

UiFrame one_frame(Gui& gui, const UiModel& model) {
    ImGui::NewFrame();
    UiFrame frame = gui.frame(model);
    ImGui::Render();
    accept_textures();
    return frame;
}

UiFrame frames(Gui& gui, const UiModel& model, int count) {
    UiFrame frame;
    for (int i = 0; i < count; ++i) {
        frame = one_frame(gui, model);
    }
    return frame;
}

// Commands of all frames of a click.
UiFrame click(Gui& gui, const UiModel& model, ImVec2 at) {
    ImGuiIO& io = ImGui::GetIO();
    io.AddMousePosEvent(at.x, at.y);
    frames(gui, model, 2);
    io.AddMouseButtonEvent(0, true);
    UiFrame pressed = one_frame(gui, model);
    io.AddMouseButtonEvent(0, false);
    UiFrame released = one_frame(gui, model);
    const UiCommands& asked = released.commands;
    const bool on_release = asked.start || asked.toggle_record || asked.format || asked.context_latents ||
                            asked.fast_context || asked.decoder;
    return on_release ? released : pressed;
}

void press(Gui& gui, Key key, bool down = true, bool control = false) {
    render::KeyEvent event;
    event.key = key;
    event.down = down;
    event.control = control;
    event.at_seconds = 1;
    gui.handle(event);
}

ImVec2 centre_of(const char* window) {
    const ImGuiWindow* w = ImGui::FindWindowByName(window);
    return w ? ImVec2(w->Pos.x + w->Size.x / 2, w->Pos.y + w->Size.y / 2) : ImVec2(-1, -1);
}

bool is_drawn(const char* window) {
    const ImGuiWindow* w = ImGui::FindWindowByName(window);
    return w && w->Active && !w->Hidden;
}

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

TEST(Gui, KeysBecomeCommandsOnce) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 2);
    for (const Key key : {Key::c, Key::space, Key::n, Key::r, Key::f9, Key::f12, Key::f11}) {
        press(gui, key);
    }
    press(gui, Key::q, true, true);
    const UiCommands commands = one_frame(gui, model).commands;
    EXPECT_TRUE(commands.toggle_cache && commands.toggle_pause && commands.step && commands.restart);
    EXPECT_TRUE(commands.toggle_record && commands.screenshot && commands.toggle_fullscreen && commands.quit);
    const UiCommands next = one_frame(gui, model).commands;
    EXPECT_FALSE(next.toggle_cache || next.toggle_pause || next.step || next.restart || next.toggle_record ||
                 next.quit);
}

TEST(Gui, HeldKeysAndMouseTravelReachTheControls) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    const UiFrame first = frames(gui, model, 4);
    press(gui, Key::w);
    press(gui, Key::right);
    ImGui::GetIO().AddMousePosEvent(first.world.width / 2, kHeight / 2);
    frames(gui, model, 2);
    render::MouseButtonEvent button;
    button.button = render::MouseButton::right;
    button.down = true;
    gui.handle(button);
    render::MouseMoveEvent move;
    move.dx = 100;
    gui.handle(move);
    const UiFrame frame = one_frame(gui, model);
    EXPECT_TRUE(frame.controls.holds(Action::forward) && frame.controls.holds(Action::yaw_right));
    EXPECT_TRUE(frame.capture_cursor);
    EXPECT_FLOAT_EQ(frame.controls.mouse_yaw_rad, 100 * UiPreferences{}.mouse_rad_per_unit);
    EXPECT_EQ(one_frame(gui, model).controls.mouse_yaw_rad, 0);
}

TEST(Gui, TheRightButtonOverAPanelDoesNotLookAround) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 4);
    const ImVec2 at = centre_of(kLatencyPanel);
    ImGui::GetIO().AddMousePosEvent(at.x, at.y);
    frames(gui, model, 3);
    render::MouseButtonEvent button;
    button.button = render::MouseButton::right;
    button.down = true;
    gui.handle(button);
    EXPECT_FALSE(one_frame(gui, model).capture_cursor);
}

ImVec2 in_panel(const char* panel, float x, float y) {
    const ImGuiWindow* w = ImGui::FindWindowByName(panel);
    EXPECT_NE(w, nullptr);
    return w ? ImVec2(w->InnerRect.Min.x + x, w->InnerRect.Min.y + y) : ImVec2();
}

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

TEST(Gui, ClickingRecRecordsUnlessThatIsImpossible) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(3);
    frames(gui, model, 4);
    const ImVec2 rec = {40, kHeight - 22};
    EXPECT_TRUE(click(gui, model, rec).commands.toggle_record);
    model.recording.unavailable = "no encoder";
    EXPECT_FALSE(click(gui, model, rec).commands.toggle_record);
}

TEST(Gui, AFailureOpensADialogThatBlocksTheWalkButKeepsTheWindow) {
    Gui gui = make_gui();
    UiModel model = samples::sample_model(3);
    frames(gui, model, 3);
    model.failure = "weights.safetensors is damaged. Choose another folder.";
    model.worker = WorkerState::failed;
    frames(gui, model, 3);
    ASSERT_TRUE(is_drawn("The walk stopped"));
    press(gui, Key::w);
    press(gui, Key::space);
    press(gui, Key::q, true, true);
    const UiFrame frame = one_frame(gui, model);
    EXPECT_EQ(frame.controls.held, 0);
    EXPECT_FALSE(frame.commands.toggle_pause);
    EXPECT_TRUE(frame.commands.quit);
    model.failure.clear();
    model.worker = WorkerState::generating;
    frames(gui, model, 3);
    EXPECT_FALSE(is_drawn("The walk stopped"));
}

TEST(Gui, F1ShowsTheKeysAndEscClosesThem) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 2);
    press(gui, Key::f1);
    frames(gui, model, 3);
    EXPECT_TRUE(is_drawn("##key sheet"));
    const ImGuiWindow* keys = nullptr;
    for (const ImGuiWindow* window : ImGui::GetCurrentContext()->Windows) {
        keys = std::string(window->Name).starts_with("##key sheet/keys") ? window : keys;
    }
    ASSERT_TRUE(keys);
    EXPECT_EQ(keys->ScrollMax.y, 0) << "every key is visible at once";
    press(gui, Key::escape);
    frames(gui, model, 2);
    EXPECT_FALSE(is_drawn("##key sheet"));
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

// The lines of the open drop-down, top to bottom, of its window.
ImVec2 line_of(const ImGuiWindow& list, int line, int lines) {
    const float top = list.Pos.y + list.WindowPadding.y;
    const float height = (list.Size.y - 2 * list.WindowPadding.y) / static_cast<float>(lines);
    return {list.Pos.x + 40, top + height * (static_cast<float>(line) + 0.5f)};
}

const ImGuiWindow* open_combo() {
    for (const ImGuiWindow* window : ImGui::GetCurrentContext()->Windows) {
        if (std::string(window->Name).starts_with("##Combo") && window->Active) return window;
    }
    return nullptr;
}

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

// The lowest row of the Session panel, right across.
ImVec2 lowest_row(float from_left, float from_right) {
    const ImGuiWindow* session = ImGui::FindWindowByName(kSessionPanel);
    const float x = from_left > 0 ? session->InnerRect.Min.x + from_left : session->InnerRect.Max.x - from_right;
    return {x, session->DC.CursorStartPos.y + session->ContentSize.y - ImGui::GetFrameHeight() / 2};
}

TEST(Gui, OnlyHyWorldPlayHasAContextToChoose) {
    Gui gui = make_gui();
    UiModel model = samples::sample_worldplay_model(3);
    frames(gui, model, 3);
    ImGui::SetWindowFocus(kSessionPanel);
    frames(gui, model, 3);
    ASSERT_TRUE(is_drawn(kSessionPanel));
    click(gui, model, lowest_row(60, 0));
    frames(gui, model, 3);
    ASSERT_TRUE(open_combo());
    const int lines = static_cast<int>(model.session.contexts.size());
    const UiFrame chosen = click(gui, model, line_of(*open_combo(), 2, lines));
    ASSERT_TRUE(chosen.commands.context_latents);
    EXPECT_EQ(*chosen.commands.context_latents, model.session.contexts[2]);
    frames(gui, model, 3);
    for (const bool fast : {false, true}) {
        model.session.fast_context = fast;
        frames(gui, model, 2);
        const UiFrame frame = click(gui, model, lowest_row(0, 30));
        ASSERT_TRUE(frame.commands.fast_context) << fast;
        EXPECT_EQ(*frame.commands.fast_context, !fast);
    }
    const float with_context = ImGui::FindWindowByName(kSessionPanel)->ContentSize.y;
    model.session.context_latents = 0; // another model
    frames(gui, model, 3);
    EXPECT_LT(ImGui::FindWindowByName(kSessionPanel)->ContentSize.y, with_context - 15);
}

// Right of the buttons below the prompt, above the row of the context.
TEST(Gui, ADecoderIsChosenWhereThereAreTwo) {
    Gui gui = make_gui();
    UiModel model = samples::sample_worldplay_model(3);
    frames(gui, model, 3);
    ImGui::SetWindowFocus(kSessionPanel);
    frames(gui, model, 3);
    const ImVec2 context = lowest_row(150, 0);
    const ImVec2 box = {context.x, context.y - ImGui::GetFrameHeightWithSpacing()};
    for (const char* decoder : {"full", "tiny"}) {
        model.session.decoder = decoder;
        frames(gui, model, 2);
        const UiFrame frame = click(gui, model, box);
        ASSERT_TRUE(frame.commands.decoder) << decoder;
        EXPECT_NE(*frame.commands.decoder, decoder);
        EXPECT_TRUE(*frame.commands.decoder == "full" || *frame.commands.decoder == "tiny");
    }
    model.session.decoders = {"full"};
    frames(gui, model, 2);
    EXPECT_FALSE(click(gui, model, box).commands.decoder);
}

// The prompt's keys and values have a place of their own in the legend, where there are any.
TEST(Gui, TheMemoryPanelShowsTheText) {
    Gui gui = make_gui();
    UiModel model = samples::sample_worldplay_model(3);
    frames(gui, model, 4);
    const auto drawn = [] { return ImGui::FindWindowByName(kMemoryPanel)->DrawList->VtxBuffer.Size; };
    const int without = drawn();
    ChunkTelemetry chunk = model.history.newest();
    chunk.ledger.text_bytes = 3'000'000;
    model.history.add(chunk);
    frames(gui, model, 3);
    EXPECT_GT(drawn(), without + 4 * 4) << "a square, a name and a figure more";
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

TEST(Gui, ToastsComeAndGo) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_model(3);
    frames(gui, model, 8);
    ImGui::GetIO().DeltaTime = 1;
    frames(gui, model, 8);
    // Toasts are all that is drawn in front of every window, in a list of its own.
    const auto lists = [] { return ImGui::GetDrawData()->CmdLists.Size; };
    const int without = lists();
    gui.toast(ToastKind::info, "Saved");
    frames(gui, model, 2);
    EXPECT_EQ(lists(), without + 1);
    frames(gui, model, 7);
    EXPECT_EQ(lists(), without);
}

void type(const char* text) {
    for (const char* c = text; *c; ++c) ImGui::GetIO().AddInputCharacter(static_cast<unsigned char>(*c));
}

TEST(Gui, ATypedPromptIsSentWithEnterAndKeysDoNotSteerMeanwhile) {
    Gui gui = make_gui();
    const UiModel model = samples::sample_text_model(20);
    frames(gui, model, 5);
    click(gui, model, in_panel(kSessionPanel, 100, 60)); // the text field
    frames(gui, model, 2);
    EXPECT_TRUE(ImGui::GetIO().WantTextInput);
    press(gui, Key::w);
    EXPECT_EQ(one_frame(gui, model).controls.held, 0);
    ImGuiIO& io = ImGui::GetIO();
    io.AddKeyEvent(ImGuiMod_Ctrl, true);
    io.AddKeyEvent(ImGuiKey_A, true);
    frames(gui, model, 2);
    io.AddKeyEvent(ImGuiKey_A, false);
    io.AddKeyEvent(ImGuiMod_Ctrl, false);
    frames(gui, model, 2);
    type("A lake.");
    frames(gui, model, 3);
    io.AddKeyEvent(ImGuiKey_Enter, true);
    std::optional<std::string> sent;
    for (int i = 0; i < 4; ++i) {
        const UiFrame frame = one_frame(gui, model);
        if (frame.commands.prompt) sent = frame.commands.prompt;
        io.AddKeyEvent(ImGuiKey_Enter, false);
    }
    ASSERT_TRUE(sent);
    EXPECT_EQ(*sent, "A lake.");
}

TEST(Gui, ATextModelWithoutAnEncoderSaysSo) {
    Gui gui = make_gui();
    UiModel model = samples::sample_text_model(20);
    model.session.takes_prompt = false;
    frames(gui, model, 5);
    click(gui, model, in_panel(kSessionPanel, 100, 60));
    frames(gui, model, 2);
    EXPECT_FALSE(ImGui::GetIO().WantTextInput) << "there is nothing to type into";
}

} // namespace
} // namespace wander::gui
