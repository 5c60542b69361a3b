// KvCache::history_number(): passes that have the same one read the same rows in the same places, whatever happened to
// the cache between them. Who keeps expanded rows (quant/cache/kept_rows.hpp) relies on nothing else.
#include "quant/cache/history_reading.hpp"
#include "tests/unit/quant/cache_oracle.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace wander::test {
namespace {

CacheSetup setup_with_text(int sink, int window, int page) {
    CacheSetup setup = small_setup(3, sink, window, page);
    setup.text_tokens = 5;
    return setup;
}

// Everything of a view apart, so that a test may change it in place.
quant::ReadView copy_of(quant::ReadView view) {
    for (at::Tensor* tensor :
         {&view.time_frequencies, &view.space_angles, &view.history_inverse, &view.new_projection, &view.new_inverse}) {
        if (tensor->defined()) *tensor = tensor->clone();
    }
    return view;
}

using Change = std::function<void(quant::ReadView&)>;

const std::vector<std::pair<std::string, Change>> kOfHistory = {
    {"first latent", [](quant::ReadView& view) { ++view.first_latent; }},
    {"latents of the chunk", [](quant::ReadView& view) { ++view.latents; }},
    {"choice", [](quant::ReadView& view) { view.chosen = {0, 1, 3}; }},
    {"no choice", [](quant::ReadView& view) { view.chosen.reset(); }},
    {"a position", [](quant::ReadView& view) { view.history_positions[1] += 1; }},
    {"fewer positions", [](quant::ReadView& view) { view.history_positions.pop_back(); }},
    {"a frequency", [](quant::ReadView& view) { view.time_frequencies[0] *= 2; }},
    {"an angle", [](quant::ReadView& view) { view.space_angles[3][0] += 1e-9; }},
    {"branches", [](quant::ReadView& view) { view.prope = false; }},
    {"a camera", [](quant::ReadView& view) { view.history_inverse[2][0][3] += 1e-3; }},
    {"no cameras", [](quant::ReadView& view) { view.history_inverse.reset(); }},
    {"a zero's sign", [](quant::ReadView& view) { view.history_inverse[0][3][0] = -0.0F; }},
};

quant::ReadView a_view() {
    quant::ReadView view = random_view(setup_with_text(0, 0, 4), {0, 1, 2}, 4, 2, 7);
    view.chosen = {0, 1, 2};
    view.history_inverse[0][3][0] = 0.0F;
    return view;
}

TEST(HistoryReading, AnyChangeOfHistorysPlacesIsSeen) {
    const quant::ReadView view = a_view();
    EXPECT_TRUE(quant::reads_alike(view, copy_of(view)));
    for (const auto& [name, change] : kOfHistory) {
        quant::ReadView other = copy_of(view);
        change(other);
        EXPECT_FALSE(quant::reads_alike(view, other)) << name;
        EXPECT_FALSE(quant::reads_alike(other, view)) << name;
    }
}

TEST(HistoryReading, TheChunksOwnPlacesDoNotMatter) {
    const quant::ReadView view = a_view();
    quant::ReadView other = copy_of(view);
    other.new_positions[0] += 5;
    other.new_projection += 1;
    other.new_inverse += 1;
    EXPECT_TRUE(quant::reads_alike(view, other));
}

// A caller may fill the tensors of its view anew, as one that holds them for a whole walk does.
TEST(HistoryReading, TensorsThatAreFilledAnewAreSeen) {
    for (const auto& [name, change] : kOfHistory) {
        quant::HistoryReading reading;
        quant::ReadView view = copy_of(a_view());
        reading.begin_chunk(view);
        const std::uint64_t before = reading.changes();
        reading.begin_chunk(view);
        EXPECT_EQ(reading.changes(), before) << name;
        change(view);
        reading.begin_chunk(view);
        EXPECT_GT(reading.changes(), before) << name;
    }
}

class HistoryNumber : public testing::Test {
protected:
    void write_all(std::int64_t first, int latents, std::uint64_t seed) {
        view_ = random_view(setup_, cache_->visible_history(first), first, latents, seed);
        cache_->begin_chunk(view_);
        for (int layer = 0; layer < setup_.shape.layers; ++layer) write(layer, latents, seed + 10);
    }
    void write(int layer, int latents, std::uint64_t seed) {
        cache_->write(layer, random_rows(setup_, latents, seed), random_rows(setup_, latents, seed + 1));
    }
    void attend(int layer) {
        const int latents = view_.latents;
        cache_->attend(layer, random_rows(setup_, latents, 1), random_rows(setup_, latents, 2),
                       random_rows(setup_, latents, 3));
    }
    std::uint64_t number() const { return cache_->history_number(); }

    CacheSetup setup_ = setup_with_text(1, 6, 4);
    std::unique_ptr<quant::KvCache> cache_ = make_cache(setup_);
    quant::ReadView view_;
};

TEST_F(HistoryNumber, StaysFromPassToPassOfAChunk) {
    for (int chunk = 0; chunk < 5; ++chunk) {
        write_all(2 * chunk, 2, 100 + static_cast<std::uint64_t>(chunk));
        cache_->commit();
    }
    view_ = random_view(setup_, cache_->visible_history(10), 10, 2, 5);
    cache_->begin_chunk(view_);
    const std::uint64_t begun = number();
    for (int layer = 0; layer < setup_.shape.layers; ++layer) attend(layer);
    cache_->begin_chunk(view_); // fast context's last pass
    for (int layer = 0; layer < setup_.shape.layers; ++layer) {
        attend(layer);
        write(layer, 2, 70); // the chunk's own rows, in a page that history stands in too
    }
    EXPECT_EQ(number(), begun);
    cache_->begin_chunk(copy_of(view_)); // and after a pass that was given up
    EXPECT_EQ(number(), begun);
    for (int layer = 0; layer < setup_.shape.layers; ++layer) write(layer, 2, 80);
    cache_->commit();
    EXPECT_NE(number(), begun);
}

TEST_F(HistoryNumber, ChangesWithTextCommitsAndClears) {
    write_all(0, 2, 1);
    cache_->commit();
    std::vector<std::uint64_t> numbers;
    const auto expect_new = [&](const char* what) {
        EXPECT_EQ(std::ranges::count(numbers, number()), 0) << what;
        numbers.push_back(number());
    };
    expect_new("begin");
    write_all(2, 2, 2);
    expect_new("another chunk");
    std::vector<quant::TextRows> text;
    for (int layer = 0; layer < setup_.shape.layers; ++layer) text.push_back(random_text(setup_, 50 + layer));
    cache_->set_text(text);
    expect_new("text");
    cache_->begin_chunk(view_);
    cache_->set_text({});
    cache_->begin_chunk(view_);
    expect_new("no text");
    for (int layer = 0; layer < setup_.shape.layers; ++layer) write(layer, 2, 3);
    cache_->commit();
    expect_new("commit");
    cache_->clear(); // and the same again, as a walk that begins anew under another seed
    write_all(0, 2, 1);
    cache_->commit();
    expect_new("begin after a clear");
    write_all(2, 2, 2);
    expect_new("the same view over other rows");
    for (int layer = 0; layer < setup_.shape.layers; ++layer) write(layer, 2, 4);
    cache_->commit();
    cache_->skip_to(20);
    expect_new("skip");
}

// A page that takes another format inside the context pass: its rows are read otherwise before the commit.
TEST_F(HistoryNumber, ChangesWithAPagesFormat) {
    for (int chunk = 0; chunk < 4; ++chunk) {
        write_all(2 * chunk, 2, 1 + static_cast<std::uint64_t>(chunk));
        cache_->commit();
    }
    ASSERT_TRUE(cache_->set_format("int2"));
    view_ = random_view(setup_, cache_->visible_history(8), 8, 2, 40);
    cache_->begin_chunk(view_);
    const std::uint64_t begun = number();
    write(0, 2, 50);
    const at::Tensor before = cache_->read_keys(0, 2, 2);
    write(1, 2, 60);
    ASSERT_FALSE(cache_->read_keys(0, 2, 2).equal(before)) << "the case must change a page here";
    EXPECT_NE(number(), begun);
}

// Whatever was done in between: the same number, the same rows in the same places.
class RandomWalks {
public:
    RandomWalks(const CacheSetup& setup, unsigned seed) : setup_(setup), cache_(make_cache(setup)), draw_(seed) {}

    void run(int steps) {
        for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
            SCOPED_TRACE(testing::Message() << "step " << step);
            between_chunks();
            chunk();
        }
    }
    int seen_again() const { return seen_again_; }

private:
    struct Reading {
        quant::ReadView view;
        std::vector<at::Tensor> rows; // of the history that is read, by layer keys and values
        std::uint64_t text = 0;
    };

    void between_chunks() {
        if (draw_() % 4 == 0) {
            EXPECT_TRUE(cache_->set_format(draw_() % 2 == 0 ? "bf16" : "int2"));
        }
        if (draw_() % 6 == 0) {
            cache_->clear();
            next_ = 0;
        }
        if (draw_() % 6 == 0) set_text();
        if (next_ > 0 && draw_() % 12 == 0) { // to the beginning of a page
            const std::int64_t page = setup_.shape.page_latents, sink = setup_.shape.sink_latents;
            next_ = sink + (std::max<std::int64_t>(0, next_ - sink) / page + 2) * page;
            cache_->skip_to(next_);
        }
    }
    void set_text() {
        text_ = draw_();
        std::vector<quant::TextRows> text;
        for (int layer = 0; layer < setup_.shape.layers; ++layer)
            text.push_back(random_text(setup_, static_cast<int>(text_ % 1000) * 10 + layer));
        cache_->set_text(std::move(text));
    }

    void chunk() {
        const int latents = 1 + static_cast<int>(draw_() % 3);
        std::vector<std::int64_t> history = cache_->visible_history(next_);
        std::optional<std::vector<std::int64_t>> chosen;
        if (!history.empty() && draw_() % 3 == 0) {
            history.erase(history.begin() + static_cast<std::ptrdiff_t>(draw_() % history.size()));
            chosen = history;
        }
        bool whole = false;
        while (!whole) { // a pass that is given up now and then, behind as many writes as it comes to
            // Few kinds of views, so that the same one comes over other rows.
            quant::ReadView view = random_view(setup_, history, next_, latents, draw_() % 2);
            view.chosen = chosen;
            cache_->begin_chunk(view);
            whole = true;
            look(view, history);
            if (draw_() % 8 == 0) {
                set_text();
                cache_->begin_chunk(view);
                look(view, history);
            }
            for (int layer = 0; layer < setup_.shape.layers; ++layer) {
                const auto rows = [&] { return random_rows(setup_, latents, draw_()); };
                cache_->attend(layer, rows(), rows(), rows());
                look(view, history);
                cache_->write(layer, rows(), rows());
                look(view, history);
                if (draw_() % 6 == 0) {
                    whole = false;
                    break;
                }
            }
        }
        cache_->commit();
        next_ += latents;
    }

    void look(const quant::ReadView& view, const std::vector<std::int64_t>& history) {
        Reading now{view, {}, text_};
        for (int layer = 0; layer < setup_.shape.layers; ++layer) {
            for (const bool keys : {true, false})
                now.rows.push_back(visible_values(*cache_, setup_, layer, history, keys));
        }
        const auto [found, added] = readings_.emplace(cache_->history_number(), now);
        if (added) return;
        ++seen_again_;
        const Reading& then = found->second;
        EXPECT_TRUE(quant::reads_alike(then.view, view));
        EXPECT_EQ(then.text, text_);
        for (std::size_t i = 0; i < now.rows.size(); ++i) EXPECT_TRUE(then.rows[i].equal(now.rows[i])) << "rows " << i;
    }

    CacheSetup setup_;
    std::unique_ptr<quant::KvCache> cache_;
    std::mt19937 draw_;
    std::int64_t next_ = 0;
    std::uint64_t text_ = 0;
    std::map<std::uint64_t, Reading> readings_;
    int seen_again_ = 0;
};

TEST(HistoryNumberOfRandomWalks, StandsForTheRowsThatAreRead) {
    for (unsigned seed = 0; seed < 6; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        RandomWalks walks(seed % 2 == 0 ? setup_with_text(1, 6, 4) : setup_with_text(0, 0, 3), seed);
        walks.run(25);
        EXPECT_GT(walks.seen_again(), 25) << "a number that never stays serves nobody";
    }
}

} // namespace
} // namespace wander::test
