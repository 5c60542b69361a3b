#pragma once
// Where prompts become text embeddings beside the walk: a thread of its own, so that a new prompt never stops a chunk.
//
// The worker says what it wants and goes on with what it has; the newest wish wins. Embeddings are kept in host memory
// for the prompts used last, so that camera phrases that come again cost nothing. Any thread may call; the encoder runs
// on the desk's thread alone. The destructor waits for the prompt in work.

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace wander {

struct EncodedPrompt {
    at::Tensor embedding; // [L, text_dim]
    std::string note;     // what the person should know, say that the prompt was cut; empty: nothing
    at::Tensor glyph{};   // PromptStates::glyph
};

class PromptDesk {
public:
    // Any device. Expected failures as errors; may throw, which becomes an error.
    using Encode = std::function<Result<EncodedPrompt>(const std::string& prompt)>;
    explicit PromptDesk(Encode encode, std::size_t kept = 64);
    ~PromptDesk();
    PromptDesk(const PromptDesk&) = delete;
    PromptDesk& operator=(const PromptDesk&) = delete;

    // What encoding it gave, or nothing yet; then it is begun as soon as the desk is free.
    std::optional<Result<EncodedPrompt>> look(const std::string& prompt);
    // The same, waiting for it. `unavailable` when stopped.
    Result<EncodedPrompt> wait(const std::string& prompt, const std::stop_token& stop);

private:
    using Entry = std::pair<std::string, Result<EncodedPrompt>>;

    std::optional<Result<EncodedPrompt>> find(const std::string& prompt); // with the mutex held
    void ask(const std::string& prompt);                                  // likewise
    void work(const std::stop_token& stop);
    Result<EncodedPrompt> encode(const std::string& prompt) const;

    Encode encode_;
    std::size_t kept_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::optional<std::string> wanted_;
    std::string in_work_;
    bool busy_ = false;
    std::list<Entry> done_; // newest use first
    std::jthread thread_;
};

} // namespace wander
