#include "generator/weights/torch_index.hpp"

#include "generator/weights/pickle.hpp"
#include "generator/weights/zip_directory.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace wander {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor data are little-endian and used in place");

constexpr std::uint64_t kMaxPickleBytes = 32ULL << 20;
constexpr std::size_t kMaxDimensions = 8;
constexpr int kMaxDepth = 32;               // dicts in dicts
constexpr std::size_t kMaxVisits = 1 << 20; // a pickle may name one dict many times
constexpr std::size_t kMaxTensors = 1 << 18;
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxUnread = 1000;

using Kind = PickleNode::Kind;
using Index = std::uint32_t;
using Bytes = std::span<const std::uint8_t>;

Error bad(std::string message) { return {ErrorCode::bad_input, "not a usable torch file: " + std::move(message)}; }

// Names come from the file; a message stays one readable line.
std::string shown(const std::string& text) {
    std::string out;
    for (const char c : text.substr(0, 120)) out += c >= ' ' && c != 0x7f ? c : '?';
    if (text.size() > 120) out += "...";
    return out;
}

struct StorageType {
    const char* global;
    Dtype dtype;
};
constexpr StorageType kStorageTypes[] = {
    {"torch.FloatStorage", Dtype::f32},    {"torch.HalfStorage", Dtype::f16}, {"torch.BFloat16Storage", Dtype::bf16},
    {"torch.DoubleStorage", Dtype::f64},   {"torch.LongStorage", Dtype::i64}, {"torch.IntStorage", Dtype::i32},
    {"torch.ShortStorage", Dtype::i16},    {"torch.CharStorage", Dtype::i8},  {"torch.ByteStorage", Dtype::u8},
    {"torch.BoolStorage", Dtype::boolean},
};

std::optional<Dtype> storage_type(const std::string& global) {
    for (const StorageType& type : kStorageTypes) {
        if (global == type.global) return type.dtype;
    }
    return std::nullopt;
}

bool is_dict_class(const std::string& global) {
    return global == "collections.OrderedDict" || global == "collections.defaultdict" || global == "builtins.dict" ||
           global == "__builtin__.dict";
}

// Either a tensor, or why there is none here, or (as an Error) why the file is damaged.
struct Found {
    std::optional<TorchTensorEntry> tensor;
    std::string why_not;
};

class Reader {
public:
    Reader(const Pickle& pickle, const std::map<std::string, ZipEntry>& entries, std::string root)
        : pickle_(pickle), entries_(entries), root_(std::move(root)) {}

    Result<TorchIndex> run() {
        visit(pickle_.root, "", 0);
        if (damage_) return *damage_;
        return std::move(index_);
    }

private:
    const PickleNode& node(Index index) const { return pickle_[index]; }

    bool damaged(std::string message) {
        if (!damage_) damage_ = bad(std::move(message));
        return false;
    }

    void visit(Index at, const std::string& name, int depth) {
        if (damage_) return;
        if (++visits_ > kMaxVisits || depth > kMaxDepth || name.size() > kMaxName) {
            damaged(fmt::format("'{}' is nested deeper than any checkpoint", shown(name)));
            return;
        }
        const PickleNode& value = node(at);
        switch (value.kind) {
            case Kind::dict: visit_pairs(value.items, name, depth); return;
            case Kind::list:
            case Kind::tuple:
                for (std::size_t i = 0; i < value.items.size() && !damage_; ++i)
                    visit(value.items[i], below(name, std::to_string(i)), depth + 1);
                return;
            case Kind::call: visit_call(value, name, depth); return;
            case Kind::persistent: remember(name, "a storage without a tensor"); return;
            default: return; // numbers, texts and names of a training run
        }
    }

    void visit_pairs(const std::vector<Index>& items, const std::string& name, int depth) {
        for (std::size_t i = 0; i + 1 < items.size() && !damage_; i += 2) {
            const PickleNode& key = node(items[i]);
            if (key.kind == Kind::text) {
                visit(items[i + 1], below(name, key.text), depth + 1);
            } else if (key.kind == Kind::integer) {
                visit(items[i + 1], below(name, std::to_string(key.integer)), depth + 1);
            }
        }
    }

    void visit_call(const PickleNode& call, const std::string& name, int depth) {
        const PickleNode& callee = node(call.callee);
        if (callee.kind == Kind::global && is_dict_class(callee.text)) {
            visit_arguments(node(call.argument), name, depth);
            visit_pairs(call.items, name, depth);
            return;
        }
        const auto found = tensor_of(call, 0);
        if (!found) {
            damaged(fmt::format("tensor '{}': {}", shown(name), found.error().message));
        } else if (!found->tensor) {
            remember(name, found->why_not);
        } else if (index_.tensors.size() >= kMaxTensors) {
            damaged("it holds more tensors than any checkpoint");
        } else if (!index_.tensors.emplace(name, *found->tensor).second) {
            damaged(fmt::format("two tensors are called '{}'", shown(name)));
        }
    }

    // OrderedDict([[key, value], ...]), as Python 2 wrote it.
    void visit_arguments(const PickleNode& arguments, const std::string& name, int depth) {
        if (arguments.items.empty() || arguments.kind != Kind::tuple) return;
        const PickleNode& pairs = node(arguments.items[0]);
        if (pairs.kind != Kind::list) return;
        for (const Index pair : pairs.items) {
            if (node(pair).items.size() == 2) visit_pairs(node(pair).items, name, depth);
        }
    }

    static std::string below(const std::string& name, const std::string& key) {
        return name.empty() ? key : name + "/" + key;
    }

    void remember(const std::string& name, std::string what) {
        if (index_.unread.size() < kMaxUnread) index_.unread.emplace(name, std::move(what));
    }

    Result<Found> tensor_of(const PickleNode& call, int depth) {
        const PickleNode& callee = node(call.callee);
        const PickleNode& arguments = node(call.argument);
        if (callee.kind != Kind::global) return Found{{}, "an object made by a computed function"};
        const bool parameter = callee.text == "torch._utils._rebuild_parameter" ||
                               callee.text == "torch._utils._rebuild_parameter_with_state";
        if (parameter && arguments.kind == Kind::tuple && !arguments.items.empty() && depth < 4) {
            const PickleNode& inner = node(arguments.items[0]);
            if (inner.kind == Kind::call) return tensor_of(inner, depth + 1);
        }
        if (callee.text != "torch._utils._rebuild_tensor_v2" && callee.text != "torch._utils._rebuild_tensor") {
            return Found{{}, fmt::format("an object of {}, which is never run", shown(callee.text))};
        }
        if (arguments.kind != Kind::tuple || arguments.items.size() < 4) {
            return bad("it lacks storage, offset, size or stride");
        }
        return rebuild(node(arguments.items[0]), node(arguments.items[1]), node(arguments.items[2]),
                       node(arguments.items[3]));
    }

    struct Storage {
        Dtype dtype = Dtype::f32;
        ZipEntry place;
        std::uint64_t elements = 0;
    };

    // ('storage', torch.FloatStorage, key, 'cpu', elements)
    Result<Storage> storage_of(const PickleNode& id, std::string& why_not) {
        if (id.kind != Kind::tuple || id.items.size() < 5) return bad("its storage is not described as torch does");
        const PickleNode& type = node(id.items[1]);
        const PickleNode& key = node(id.items[2]);
        const PickleNode& count = node(id.items[4]);
        const bool described = node(id.items[0]).text == "storage" && type.kind == Kind::global &&
                               (key.kind == Kind::text || key.kind == Kind::integer) && count.kind == Kind::integer;
        if (!described || count.integer < 0) return bad("its storage is not described as torch does");
        Storage storage;
        const auto dtype = storage_type(type.text);
        if (!dtype) {
            why_not = fmt::format("a tensor of {}, a type that is not read", shown(type.text));
            return storage;
        }
        storage.dtype = *dtype;
        const std::string name = root_ + "data/" + (key.kind == Kind::text ? key.text : std::to_string(key.integer));
        const auto found = entries_.find(name);
        if (found == entries_.end()) return bad(fmt::format("its data '{}' are missing", shown(name)));
        if (!found->second.stored) {
            return bad(fmt::format("its data '{}' are compressed; torch.save stores them as they are", shown(name)));
        }
        storage.place = found->second;
        storage.elements = (found->second.end - found->second.begin) / dtype_bytes(*dtype);
        if (static_cast<std::uint64_t>(count.integer) > storage.elements) {
            return bad(fmt::format("its data '{}' are {} bytes short of {} elements", shown(name),
                                   found->second.end - found->second.begin, count.integer));
        }
        storage.elements = static_cast<std::uint64_t>(count.integer);
        return storage;
    }

    bool read_sizes(const PickleNode& from, std::vector<std::int64_t>& sizes) const {
        if ((from.kind != Kind::tuple && from.kind != Kind::list) || from.items.size() > kMaxDimensions) return false;
        for (const Index item : from.items) {
            if (node(item).kind != Kind::integer || node(item).integer < 0) return false;
            sizes.push_back(node(item).integer);
        }
        return true;
    }

    Result<Found> rebuild(const PickleNode& persistent, const PickleNode& offset, const PickleNode& size,
                          const PickleNode& stride) {
        if (persistent.kind != Kind::persistent) return bad("it has no storage");
        std::string why_not;
        const auto storage = storage_of(node(persistent.argument), why_not);
        if (!storage) return storage.error();
        if (!why_not.empty()) return Found{{}, why_not};
        TorchTensorEntry entry;
        entry.dtype = storage->dtype;
        if (offset.kind != Kind::integer || offset.integer < 0 || !read_sizes(size, entry.shape) ||
            !read_sizes(stride, entry.stride) || entry.shape.size() != entry.stride.size()) {
            return bad("its offset, size or stride is no list of counts");
        }
        // How many elements it has, and how many of the storage the strides reach; with overflow found out.
        std::uint64_t elements = 1;
        std::uint64_t reach = 1;
        bool overflow = false;
        for (std::size_t i = 0; i < entry.shape.size(); ++i) {
            const auto n = static_cast<std::uint64_t>(entry.shape[i]);
            overflow |= __builtin_mul_overflow(elements, n, &elements);
            std::uint64_t step = 0;
            overflow |= n > 0 && __builtin_mul_overflow(n - 1, static_cast<std::uint64_t>(entry.stride[i]), &step);
            overflow |= __builtin_add_overflow(reach, step, &reach);
        }
        const bool empty = std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end();
        if (empty) {
            reach = 0;
            overflow = false;
        }
        std::uint64_t last = 0;
        overflow |= __builtin_add_overflow(reach, static_cast<std::uint64_t>(offset.integer), &last);
        if (overflow || last > storage->elements) {
            return bad(fmt::format("it reaches beyond its storage of {} elements", storage->elements));
        }
        if (!empty && elements > storage->elements) return bad("it repeats elements of its storage");
        const std::uint64_t bytes = dtype_bytes(entry.dtype);
        entry.begin = storage->place.begin + static_cast<std::uint64_t>(offset.integer) * bytes;
        entry.end = entry.begin + reach * bytes;
        return Found{std::move(entry), {}};
    }

    const Pickle& pickle_;
    const std::map<std::string, ZipEntry>& entries_;
    std::string root_; // "archive/"
    TorchIndex index_;
    std::optional<Error> damage_;
    std::size_t visits_ = 0;
};

// The one folder of the archive, with its slash.
Result<std::string> find_root(const std::map<std::string, ZipEntry>& entries) {
    static constexpr std::string_view kPickle = "data.pkl";
    std::optional<std::string> root;
    for (const auto& [name, entry] : entries) {
        const bool one = name.ends_with(kPickle) && std::count(name.begin(), name.end(), '/') == 1 &&
                         name[name.size() - kPickle.size() - 1] == '/';
        if (!one) continue;
        if (root) return bad("it holds two archives");
        root = name.substr(0, name.size() - kPickle.size());
    }
    if (!root) return bad("this zip has no FOLDER/data.pkl, so torch.save did not make it");
    return *root;
}

// Pickles of torch.save before the zip format begin with protocol 2 and this number.
bool is_old_format(Bytes file) {
    static constexpr std::uint8_t kMagic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9};
    return file.size() > sizeof kMagic && std::equal(std::begin(kMagic), std::end(kMagic), file.begin());
}

} // namespace

bool TorchTensorEntry::contiguous() const {
    std::int64_t expected = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
        if (shape[i] != 1 && stride[i] != expected) return false;
        expected *= shape[i];
    }
    return true;
}

Result<TorchIndex> parse_torch_archive(Bytes file) {
    if (is_old_format(file)) {
        return bad("it is of the format before torch 1.6, which cannot be mapped; load and torch.save it again");
    }
    auto entries = read_zip_directory(file);
    if (!entries) return bad(entries.error().message);
    const auto root = find_root(*entries);
    if (!root) return root.error();
    const auto order = entries->find(*root + "byteorder");
    if (order != entries->end()) {
        const ZipEntry& place = order->second;
        const std::string text(reinterpret_cast<const char*>(file.data() + place.begin),
                               std::min<std::uint64_t>(place.end - place.begin, 16));
        if (text != "little") return bad(fmt::format("its byte order is '{}', not little", shown(text)));
    }
    const ZipEntry& pickle_place = entries->at(*root + "data.pkl");
    const std::uint64_t pickle_bytes = pickle_place.end - pickle_place.begin;
    if (!pickle_place.stored) return bad("its data.pkl is compressed; torch.save stores it as it is");
    if (pickle_bytes > kMaxPickleBytes) return bad(fmt::format("its data.pkl has {} bytes", pickle_bytes));
    const auto pickle = read_pickle(file.subspan(pickle_place.begin, pickle_bytes));
    if (!pickle) return bad("data.pkl is " + pickle.error().message);
    auto index = Reader(*pickle, *entries, *root).run();
    if (!index) return index.error();
    index->pickle_begin = pickle_place.begin;
    index->pickle_end = pickle_place.end;
    return index;
}

} // namespace wander
