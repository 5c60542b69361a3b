#include "render/window.hpp"

#include <GLFW/glfw3.h>

#include <chrono>
#include <cmath>
#include <utility>

namespace wander::render {
namespace {

static_assert(static_cast<int>(Key::w) == GLFW_KEY_W && static_cast<int>(Key::z) == GLFW_KEY_Z);
static_assert(static_cast<int>(Key::enter) == GLFW_KEY_ENTER && static_cast<int>(Key::up) == GLFW_KEY_UP);
static_assert(static_cast<int>(Key::end) == GLFW_KEY_END && static_cast<int>(Key::f12) == GLFW_KEY_F12);
static_assert(static_cast<int>(Key::right_super) == GLFW_KEY_RIGHT_SUPER &&
              static_cast<int>(Key::del) == GLFW_KEY_DELETE);

std::string glfw_reason() {
    const char* text = nullptr;
    glfwGetError(&text);
    return text ? text : "no reason given";
}

MouseButton button_of(int button) {
    switch (button) {
        case GLFW_MOUSE_BUTTON_LEFT: return MouseButton::left;
        case GLFW_MOUSE_BUTTON_RIGHT: return MouseButton::right;
        case GLFW_MOUSE_BUTTON_MIDDLE: return MouseButton::middle;
        default: return MouseButton::other;
    }
}

} // namespace

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Window::State {
    GLFWwindow* window = nullptr;
    std::vector<WindowEvent> events;
    double mouse_x = 0;
    double mouse_y = 0;
    bool mouse_known = false; // false: the next position starts a new travel
    WindowPlacement before_fullscreen;

    ~State() {
        if (window) {
            glfwDestroyWindow(window);
        }
        glfwTerminate();
    }
    static State& of(GLFWwindow* window) { return *static_cast<State*>(glfwGetWindowUserPointer(window)); }
    void install_callbacks();
};

void Window::State::install_callbacks() {
    glfwSetWindowUserPointer(window, this);
    glfwSetKeyCallback(window, [](GLFWwindow* w, int key, int, int action, int mods) {
        State::of(w).events.emplace_back(KeyEvent{static_cast<Key>(key), action != GLFW_RELEASE, action == GLFW_REPEAT,
                                                  (mods & GLFW_MOD_SHIFT) != 0, (mods & GLFW_MOD_CONTROL) != 0,
                                                  (mods & GLFW_MOD_ALT) != 0, steady_seconds()});
    });
    glfwSetMouseButtonCallback(window, [](GLFWwindow* w, int button, int action, int) {
        State& state = State::of(w);
        state.events.emplace_back(
            MouseButtonEvent{button_of(button), action == GLFW_PRESS, state.mouse_x, state.mouse_y, steady_seconds()});
    });
    glfwSetCursorPosCallback(window, [](GLFWwindow* w, double x, double y) {
        State& state = State::of(w);
        const double dx = state.mouse_known ? x - state.mouse_x : 0;
        const double dy = state.mouse_known ? y - state.mouse_y : 0;
        state.mouse_x = x;
        state.mouse_y = y;
        state.mouse_known = true;
        state.events.emplace_back(MouseMoveEvent{x, y, dx, dy, steady_seconds()});
    });
    glfwSetScrollCallback(
        window, [](GLFWwindow* w, double dx, double dy) { State::of(w).events.emplace_back(ScrollEvent{dx, dy}); });
    glfwSetWindowFocusCallback(
        window, [](GLFWwindow* w, int focused) { State::of(w).events.emplace_back(FocusEvent{focused == GLFW_TRUE}); });
    glfwSetFramebufferSizeCallback(window, [](GLFWwindow* w, int width, int height) {
        State::of(w).events.emplace_back(ResizeEvent{width, height});
    });
    glfwSetWindowIconifyCallback(window, [](GLFWwindow* w, int) {
        int width = 0, height = 0;
        glfwGetFramebufferSize(w, &width, &height);
        const bool iconified = glfwGetWindowAttrib(w, GLFW_ICONIFIED) == GLFW_TRUE;
        State::of(w).events.emplace_back(iconified ? ResizeEvent{0, 0} : ResizeEvent{width, height});
    });
    glfwSetWindowContentScaleCallback(
        window, [](GLFWwindow* w, float scale, float) { State::of(w).events.emplace_back(ScaleEvent{scale}); });
    glfwSetDropCallback(window, [](GLFWwindow* w, int count, const char** paths) {
        State::of(w).events.emplace_back(DropEvent{std::vector<std::string>(paths, paths + count)});
    });
    glfwSetWindowCloseCallback(window, [](GLFWwindow* w) { State::of(w).events.emplace_back(CloseEvent{}); });
}

Result<Window> Window::create(const std::string& title, const WindowPlacement& placement) {
    if (!glfwInit()) {
        return Error{ErrorCode::unavailable,
                     "no display: " + glfw_reason() + "; start the program in a desktop session, or use --headless"};
    }
    auto state = std::make_unique<State>();
    if (!glfwVulkanSupported()) {
        return Error{ErrorCode::unavailable,
                     "no Vulkan for this display: install your graphics card's driver or the packages "
                     "libvulkan1 and mesa-vulkan-drivers, or use --headless"};
    }
    glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
    glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
    glfwWindowHint(GLFW_MAXIMIZED, placement.maximised ? GLFW_TRUE : GLFW_FALSE);
    glfwWindowHintString(GLFW_X11_CLASS_NAME, "wander");
    glfwWindowHintString(GLFW_WAYLAND_APP_ID, "wander");
    if (placement.x && placement.y) {
        glfwWindowHint(GLFW_POSITION_X, *placement.x);
        glfwWindowHint(GLFW_POSITION_Y, *placement.y);
    }
    state->window = glfwCreateWindow(placement.width, placement.height, title.c_str(), nullptr, nullptr);
    if (!state->window) {
        return Error{ErrorCode::unavailable, "cannot open a window: " + glfw_reason()};
    }
    glfwSetWindowSizeLimits(state->window, 480, 320, GLFW_DONT_CARE, GLFW_DONT_CARE);
    state->install_callbacks();
    return Window(std::move(state));
}

Window::Window(std::unique_ptr<State> state) : state_(std::move(state)) {}
Window::Window(Window&&) noexcept = default;
Window& Window::operator=(Window&&) noexcept = default;
Window::~Window() = default;

std::vector<WindowEvent> Window::poll(double wait_seconds) {
    if (wait_seconds > 0) {
        glfwWaitEventsTimeout(wait_seconds);
    } else {
        glfwPollEvents();
    }
    return std::exchange(state_->events, {});
}

void Window::wake() { glfwPostEmptyEvent(); }

PixelSize Window::framebuffer_size() const {
    PixelSize size;
    if (!minimised()) {
        glfwGetFramebufferSize(state_->window, &size.width, &size.height);
    }
    return size;
}

float Window::content_scale() const {
    float x = 1, y = 1;
    glfwGetWindowContentScale(state_->window, &x, &y);
    return x > 0 ? x : 1;
}

bool Window::minimised() const { return glfwGetWindowAttrib(state_->window, GLFW_ICONIFIED) == GLFW_TRUE; }

bool Window::focused() const { return glfwGetWindowAttrib(state_->window, GLFW_FOCUSED) == GLFW_TRUE; }

// Window units that one unit of a plain monitor has: the content scale under X11, where windows are measured in pixels;
// 1 under Wayland, which scales by itself.
float Window::unit_scale() const {
    int width = 0, height = 0, pixels_wide = 0, pixels_high = 0;
    glfwGetWindowSize(state_->window, &width, &height);
    glfwGetFramebufferSize(state_->window, &pixels_wide, &pixels_high);
    return pixels_wide > 0 ? content_scale() * static_cast<float>(width) / static_cast<float>(pixels_wide) : 1;
}

WindowPlacement Window::placement() const {
    WindowPlacement placement = glfwGetWindowMonitor(state_->window) ? state_->before_fullscreen : current_placement();
    // Upwards: opening it again cuts fractions off, and the window must not shrink from start to start.
    const auto plain = [scale = unit_scale()](int size) {
        return static_cast<int>(std::ceil(static_cast<float>(size) / scale));
    };
    placement.width = plain(placement.width);
    placement.height = plain(placement.height);
    return placement;
}

WindowPlacement Window::current_placement() const {
    WindowPlacement placement;
    glfwGetWindowSize(state_->window, &placement.width, &placement.height);
    placement.maximised = glfwGetWindowAttrib(state_->window, GLFW_MAXIMIZED) == GLFW_TRUE;
    if (glfwGetPlatform() != GLFW_PLATFORM_WAYLAND) {
        int x = 0, y = 0;
        glfwGetWindowPos(state_->window, &x, &y);
        placement.x = x;
        placement.y = y;
    }
    return placement;
}

GamepadState Window::gamepad() const {
    GamepadState pad;
    GLFWgamepadstate raw;
    for (int id = GLFW_JOYSTICK_1; id <= GLFW_JOYSTICK_LAST; ++id) {
        if (glfwJoystickIsGamepad(id) && glfwGetGamepadState(id, &raw)) {
            pad.connected = true;
            pad.left_x = raw.axes[GLFW_GAMEPAD_AXIS_LEFT_X];
            pad.left_y = raw.axes[GLFW_GAMEPAD_AXIS_LEFT_Y];
            pad.right_x = raw.axes[GLFW_GAMEPAD_AXIS_RIGHT_X];
            pad.right_y = raw.axes[GLFW_GAMEPAD_AXIS_RIGHT_Y];
            pad.left_trigger = (raw.axes[GLFW_GAMEPAD_AXIS_LEFT_TRIGGER] + 1) / 2;
            pad.right_trigger = (raw.axes[GLFW_GAMEPAD_AXIS_RIGHT_TRIGGER] + 1) / 2;
            for (unsigned i = 0; i <= GLFW_GAMEPAD_BUTTON_LAST; ++i) {
                pad.buttons |= raw.buttons[i] == GLFW_PRESS ? 1u << i : 0u;
            }
            break;
        }
    }
    return pad;
}

void Window::set_title(const std::string& title) { glfwSetWindowTitle(state_->window, title.c_str()); }

void Window::set_fullscreen(bool fullscreen) {
    const bool is_fullscreen = glfwGetWindowMonitor(state_->window) != nullptr;
    if (fullscreen == is_fullscreen) {
        return;
    }
    if (fullscreen) {
        GLFWmonitor* monitor = glfwGetPrimaryMonitor();
        const GLFWvidmode* mode = monitor ? glfwGetVideoMode(monitor) : nullptr;
        if (mode) {
            state_->before_fullscreen = current_placement();
            glfwSetWindowMonitor(state_->window, monitor, 0, 0, mode->width, mode->height, mode->refreshRate);
        }
    } else {
        const WindowPlacement& old = state_->before_fullscreen;
        glfwSetWindowMonitor(state_->window, nullptr, old.x.value_or(64), old.y.value_or(64), old.width, old.height,
                             GLFW_DONT_CARE);
    }
}

void Window::capture_cursor(bool capture) {
    glfwSetInputMode(state_->window, GLFW_CURSOR, capture ? GLFW_CURSOR_DISABLED : GLFW_CURSOR_NORMAL);
    // The position jumps when the mode changes: that is no travel.
    state_->mouse_known = false;
}

void Window::request_close() {
    state_->events.emplace_back(CloseEvent{});
    glfwPostEmptyEvent();
}

GLFWwindow* Window::handle() const { return state_->window; }

} // namespace wander::render
