#include "app/folder_dialog.hpp"

#include <portable_file_dialogs.h>

namespace wander {

struct FolderDialog::State {
    std::optional<pfd::select_folder> dialog;
};

FolderDialog::FolderDialog() : state_(std::make_unique<State>()) {}
FolderDialog::~FolderDialog() {
    if (state_->dialog) state_->dialog->kill(); // else its destructor waits for the person
}

bool FolderDialog::open(const std::string& title, const std::filesystem::path& begin_at) {
    if (state_->dialog) return true;
    if (!pfd::settings::available()) return false;
    state_->dialog.emplace(title, begin_at.string());
    return true;
}

std::optional<std::string> FolderDialog::take() {
    if (!state_->dialog || !state_->dialog->ready(0)) return std::nullopt;
    std::string folder = state_->dialog->result();
    state_->dialog.reset();
    if (folder.empty()) return std::nullopt;
    return folder;
}

} // namespace wander
