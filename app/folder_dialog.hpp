#pragma once
// The desktop's own dialog for choosing a folder, beside the program's loop. Main thread.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace wander {

class FolderDialog {
public:
    FolderDialog();
    ~FolderDialog();

    // False where this desktop has no such dialog (zenity, kdialog or the like). One at a time; a second is ignored.
    bool open(const std::string& title, const std::filesystem::path& begin_at);
    // The folder, once; nothing while the dialog is open or when it was closed without one.
    std::optional<std::string> take();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace wander
