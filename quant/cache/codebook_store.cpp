#include "quant/cache/codebook_store.hpp"

#include "quant/qvg/page_rules.hpp"

#include <iterator>

namespace wander::quant {

std::shared_ptr<Codebook> CodebookStore::make(const PageShape& shape, int count, std::uint32_t version) {
    const std::int64_t rows = static_cast<std::int64_t>(shape.heads) * count;
    const std::int64_t centroid_bytes = rows * shape.head_dim * 2;
    std::shared_ptr<Codebook> book(new Codebook, [arena = &arena_](Codebook* dead) {
        dead->centroids.reset();
        dead->weights.reset();
        arena->release(dead->memory);
        delete dead;
    });
    book->version = version;
    book->count = count;
    book->memory = arena_.allocate(centroid_bytes + rows * 4);
    book->centroids =
        book->memory.narrow(0, 0, centroid_bytes).view(at::kBFloat16).view({shape.heads, count, shape.head_dim});
    book->weights = book->memory.narrow(0, centroid_bytes, rows * 4).view(at::kFloat).view({shape.heads, count});
    return book;
}

std::vector<std::shared_ptr<const Codebook>> CodebookStore::for_pages(const CodebookTrainer& trainer,
                                                                      const std::vector<int>& layers,
                                                                      const std::vector<EncodeJob>& pages) {
    std::vector<EncodeJob> untrained;
    std::vector<Codebook*> trained;
    std::vector<std::shared_ptr<const Codebook>> books;
    for (std::size_t i = 0; i < pages.size(); ++i) {
        const EncodeJob& page = pages[i];
        Newest& newest = books_[{layers[i], page.shape.is_key}];
        if (!newest.book) {
            auto book = make(page.shape, trainer.codebook_centroids(page.shape, page.options), 1);
            untrained.push_back(page);
            trained.push_back(book.get());
            // Layers take turns with their new versions, so that no commit makes them all.
            newest = {std::move(book), (2 * layers[i] + (page.shape.is_key ? 0 : 1)) % qvg::kSessionPages};
        }
        books.push_back(newest.book);
    }
    trainer.train(untrained, trained);
    return books;
}

void CodebookStore::note_packed(const CodebookTrainer& trainer, int layer, const EncodeJob& page) {
    Newest& newest = books_[{layer, page.shape.is_key}];
    if (++newest.pages < qvg::kSessionPages) {
        return;
    }
    auto book = make(page.shape, newest.book->count, newest.book->version + 1);
    trainer.update(page, *newest.book, *book);
    newest = {std::move(book), 0};
}

void CodebookStore::drop_unused() {
    for (auto it = books_.begin(); it != books_.end();) {
        it = it->second.book.use_count() <= 1 ? books_.erase(it) : std::next(it);
    }
}

void CodebookStore::for_each(
    const std::function<void(bool is_key, const std::shared_ptr<const Codebook>&)>& visit) const {
    for (const auto& [place, newest] : books_) {
        visit(place.second, newest.book);
    }
}

} // namespace wander::quant
