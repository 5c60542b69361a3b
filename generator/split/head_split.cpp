#include "generator/split/head_split.hpp"

#include "generator/nn/copy_pieces.hpp"
#include "generator/split/peer_access.hpp"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace wander {

// Two places for what a rank shows: while the others still look at one turn's, the next one's comes beside it. A rank
// that shows for the turn after that has met all others in between, so they are done with the first.
struct HeadSplit::Team {
    struct Place {
        std::vector<at::Tensor> tensors;
        std::optional<c10::Event> ready; // GPU: they are made
        std::optional<c10::Event> taken; // GPU: this rank has copied what it needs of the others'
    };
    using Places = std::array<Place, 2>;

    explicit Team(std::size_t size) : places(size) {}

    void meet() {
        std::unique_lock lock(mutex);
        const std::int64_t round = rounds;
        if (!broken && ++here == std::ssize(places)) {
            here = 0;
            ++rounds;
            all_here.notify_all();
            return;
        }
        all_here.wait(lock, [&] { return broken || rounds != round; });
        if (rounds == round) throw SplitBroken();
    }

    std::vector<Places> places; // by rank
    std::mutex mutex;
    std::condition_variable all_here;
    std::int64_t here = 0;
    std::int64_t rounds = 0;
    bool broken = false;
};

Result<std::vector<std::shared_ptr<HeadSplit>>> HeadSplit::open(const std::vector<at::Device>& devices) {
    if (auto done = let_read_each_other(devices); !done) return done.error();
    const auto team = std::make_shared<Team>(devices.size());
    std::vector<std::shared_ptr<HeadSplit>> splits;
    splits.reserve(devices.size());
    for (const at::Device device : devices)
        splits.emplace_back(new HeadSplit(team, static_cast<int>(splits.size()), device));
    return splits;
}

HeadSplit::HeadSplit(std::shared_ptr<Team> team, int rank, at::Device device)
    : team_(std::move(team)), rank_(rank), device_(device), timer_(device) {}

HeadSplit::~HeadSplit() = default;

int HeadSplit::size() const { return static_cast<int>(team_->places.size()); }

HeadSplit::Latents HeadSplit::own(std::int64_t latents) const {
    TORCH_CHECK(latents >= size(), "HeadSplit: ", latents, " latents are too few for ", size(), " devices");
    const std::int64_t first = latents * rank_ / size();
    return {first, latents * (rank_ + 1) / size() - first};
}

at::Tensor HeadSplit::own_heads(const at::Tensor& all, std::int64_t dim) const {
    TORCH_CHECK(all.size(dim) % size() == 0, "HeadSplit: ", all.size(dim), " heads do not divide among ", size());
    const std::int64_t heads = all.size(dim) / size();
    return all.narrow(dim, rank_ * heads, heads);
}

void HeadSplit::show(std::vector<at::Tensor> tensors) {
    timer_.begin();
    const auto now = static_cast<std::size_t>(turn_ % 2), before = 1 - now;
    Team::Place& own = team_->places[static_cast<std::size_t>(rank_)][now];
    own.tensors = std::move(tensors);
    if (device_.is_cpu()) {
        team_->meet();
        team_->places[static_cast<std::size_t>(rank_)][before].tensors.clear();
        return;
    }
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
    if (!own.ready) own.ready.emplace(device_.type());
    own.ready->record(stream);
    team_->meet();
    for (int rank = 0; rank < size(); ++rank) {
        if (rank == rank_) continue;
        const Team::Places& theirs = team_->places[static_cast<std::size_t>(rank)];
        // The turn before: they are done with what was shown there, so its memory may serve again.
        if (theirs[before].taken) theirs[before].taken->block(stream);
        theirs[now].ready->block(stream);
    }
    team_->places[static_cast<std::size_t>(rank_)][before].tensors.clear();
}

const std::vector<at::Tensor>& HeadSplit::shown(int rank) const {
    return team_->places[static_cast<std::size_t>(rank)][static_cast<std::size_t>(turn_ % 2)].tensors;
}

void HeadSplit::taken() {
    if (!device_.is_cpu()) {
        Team::Place& own = team_->places[static_cast<std::size_t>(rank_)][static_cast<std::size_t>(turn_ % 2)];
        if (!own.taken) own.taken.emplace(device_.type());
        own.taken->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
    }
    ++turn_;
    timer_.end();
}

std::vector<at::Tensor> HeadSplit::tokens_to_heads(const std::vector<at::Tensor>& rows) {
    show(rows);
    std::int64_t tokens = 0;
    for (int rank = 0; rank < size(); ++rank) tokens += shown(rank).front().size(0);
    std::vector<at::Tensor> results;
    std::vector<nn::CopyPiece> pieces;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const at::Tensor own = own_heads(rows[i], 1);
        results.push_back(at::empty({tokens, own.size(1), own.size(2)}, own.options()));
        std::int64_t first = 0;
        for (int rank = 0; rank < size(); ++rank) {
            const at::Tensor from = own_heads(shown(rank).at(i), 1);
            pieces.push_back({from, results.back().narrow(0, first, from.size(0))});
            first += from.size(0);
        }
    }
    nn::copy_pieces(pieces);
    taken();
    return results;
}

at::Tensor HeadSplit::heads_to_tokens(const at::Tensor& attended, std::int64_t first, std::int64_t count) {
    const std::int64_t branches = attended.size(0), heads = attended.size(2), channels = attended.size(3);
    show({attended});
    const at::Tensor result = at::empty({count, branches, size() * heads, channels}, attended.options());
    std::vector<nn::CopyPiece> pieces;
    for (int rank = 0; rank < size(); ++rank) {
        for (std::int64_t branch = 0; branch < branches; ++branch) {
            pieces.push_back({shown(rank).front()[branch].narrow(0, first, count),
                              result.select(1, branch).narrow(1, rank * heads, heads)});
        }
    }
    nn::copy_pieces(pieces);
    taken();
    return result;
}

at::Tensor HeadSplit::gather(const at::Tensor& rows) {
    show({rows});
    std::int64_t tokens = 0;
    for (int rank = 0; rank < size(); ++rank) tokens += shown(rank).front().size(0);
    const at::Tensor result = at::empty({tokens, rows.size(1)}, rows.options());
    std::vector<nn::CopyPiece> pieces;
    std::int64_t first = 0;
    for (int rank = 0; rank < size(); ++rank) {
        const at::Tensor from = shown(rank).front();
        pieces.push_back({from.unsqueeze(1), result.narrow(0, first, from.size(0)).unsqueeze(1)});
        first += from.size(0);
    }
    nn::copy_pieces(pieces);
    taken();
    return result;
}

void HeadSplit::give_up() {
    const std::lock_guard lock(team_->mutex);
    team_->broken = true;
    team_->all_here.notify_all();
}

} // namespace wander
