#include "generator/prompt_desk.hpp"

#include "generator/errors.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>

namespace wander {

PromptDesk::PromptDesk(Encode encode, std::size_t kept)
    : encode_(std::move(encode)), kept_(std::max<std::size_t>(1, kept)) {
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

PromptDesk::~PromptDesk() {
    thread_.request_stop();
    changed_.notify_all();
}

std::optional<Result<EncodedPrompt>> PromptDesk::find(const std::string& prompt) {
    const auto found = std::ranges::find(done_, prompt, &Entry::first);
    if (found == done_.end()) return std::nullopt;
    done_.splice(done_.begin(), done_, found);
    auto result = found->second;
    if (!result) done_.erase(found); // a failure is told once; asking again tries again
    return result;
}

void PromptDesk::ask(const std::string& prompt) {
    if (busy_ && in_work_ == prompt) {
        wanted_.reset(); // the newest wish is the one in work
        return;
    }
    if (wanted_ == prompt) return;
    wanted_ = prompt;
    changed_.notify_all();
}

std::optional<Result<EncodedPrompt>> PromptDesk::look(const std::string& prompt) {
    const std::lock_guard lock(mutex_);
    auto result = find(prompt);
    if (!result) ask(prompt);
    return result;
}

Result<EncodedPrompt> PromptDesk::wait(const std::string& prompt, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    std::optional<Result<EncodedPrompt>> result;
    changed_.wait(lock, stop, [&] {
        result = find(prompt);
        if (!result) ask(prompt);
        return result.has_value();
    });
    if (result) return *result;
    return Error{ErrorCode::unavailable, "stopped while the prompt was being encoded"};
}

Result<EncodedPrompt> PromptDesk::encode(const std::string& prompt) const {
    try {
        const c10::InferenceMode inference;
        auto encoded = encode_(prompt);
        if (!encoded) return encoded;
        encoded->embedding = encoded->embedding.to(at::kCPU);
        if (encoded->glyph.defined()) encoded->glyph = encoded->glyph.to(at::kCPU);
        return encoded;
    } catch (...) {
        return current_exception_as_error("encoding the prompt");
    }
}

void PromptDesk::work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return wanted_.has_value(); })) {
        in_work_ = *std::exchange(wanted_, std::nullopt);
        busy_ = true;
        lock.unlock();
        auto result = encode(in_work_);
        lock.lock();
        busy_ = false;
        done_.emplace_front(in_work_, std::move(result));
        if (done_.size() > kept_) done_.pop_back();
        changed_.notify_all();
    }
}

} // namespace wander
