#pragma once
// Writes files as torch.save does (zip of stored entries, pickle protocol 2): for tests, which also need damaged and
// unusual ones, and for make_model_folder, which needs big ones. Values are streamed. Plain: no torch.

#include "generator/weights/dtype.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace wander::test {

// CRC-32 of zip (polynomial 0xedb88320), eight bytes a step.
class Crc32 {
public:
    void update(const void* data, std::size_t size) {
        static const auto table = make_table();
        const auto* bytes = static_cast<const std::uint8_t*>(data);
        for (; size >= 8; size -= 8, bytes += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes, 8);
            word ^= value_;
            value_ = 0;
            for (std::size_t i = 0; i < 8; ++i) value_ ^= table[7 - i][(word >> (8 * i)) & 0xff];
        }
        for (; size > 0; --size, ++bytes) value_ = (value_ >> 8) ^ table[0][(value_ ^ *bytes) & 0xff];
    }
    std::uint32_t value() const { return ~value_; }

private:
    using Table = std::array<std::array<std::uint32_t, 256>, 8>;
    static Table make_table() {
        Table table{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            std::uint32_t value = i;
            for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) ? 0xedb88320U : 0U);
            table[0][i] = value;
        }
        for (std::size_t step = 1; step < 8; ++step) {
            for (std::size_t i = 0; i < 256; ++i)
                table[step][i] = (table[step - 1][i] >> 8) ^ table[0][table[step - 1][i] & 0xff];
        }
        return table;
    }
    std::uint32_t value_ = 0xffffffff;
};

using Write = std::function<void(const void* data, std::size_t size)>;

// A zip of stored entries. Sizes and check sums follow the data, so nothing needs to be known twice.
class ZipWriter {
public:
    // zip64: 64-bit records even where 32 bits would do.
    explicit ZipWriter(Write sink, bool zip64 = false) : sink_(std::move(sink)), zip64_(zip64) {}

    // `produce` writes the entry's bytes, in pieces.
    void entry(const std::string& name, const std::function<void(const Write&)>& produce) {
        const Entry begun = begin_entry(name);
        Crc32 crc;
        const std::uint64_t begin = offset_;
        produce([&](const void* data, std::size_t size) {
            crc.update(data, size);
            sink_(data, size);
            offset_ += size;
        });
        end_entry(begun, offset_ - begin, crc.value());
    }
    // An entry whose bytes somebody else puts into the file: the sink gets no data for them, only their number.
    // Returns where they begin.
    std::uint64_t hole(const std::string& name, std::uint64_t size, std::uint32_t crc) {
        const Entry begun = begin_entry(name);
        const std::uint64_t begin = offset_;
        sink_(nullptr, size);
        offset_ += size;
        end_entry(begun, size, crc);
        return begin;
    }
    void entry(const std::string& name, const std::string& bytes) {
        entry(name, [&](const Write& write) { write(bytes.data(), bytes.size()); });
    }

    void finish() {
        const std::uint64_t begin = offset_;
        for (const Entry& entry : entries_) {
            const bool wide_size = entry.size >= kLimit || zip64_;
            const bool wide_offset = entry.offset >= kLimit || zip64_;
            std::string extra;
            if (wide_size) extra += numbers64({entry.size, entry.size});
            if (wide_offset) extra += numbers64({entry.offset});
            if (!extra.empty()) extra = numbers16({1, extra.size()}) + extra;
            const std::uint64_t size = wide_size ? kLimit : entry.size;
            put(numbers32({0x02014b50}) + numbers16({45, 45, 8, 0, 0, 0}) + numbers32({entry.crc, size, size}) +
                numbers16({entry.name.size(), extra.size(), 0, 0, 0}) +
                numbers32({0, wide_offset ? kLimit : entry.offset}) + entry.name + extra);
        }
        const std::uint64_t end = offset_;
        const std::uint64_t count = entries_.size();
        const bool wide = zip64_ || begin >= kLimit || end - begin >= kLimit || count >= 0xffff;
        if (wide) {
            put(numbers32({0x06064b50}) + numbers64({44}) + numbers16({45, 45}) + numbers32({0, 0}) +
                numbers64({count, count, end - begin, begin}) + numbers32({0x07064b50, 0}) + numbers64({end}) +
                numbers32({1}));
        }
        put(numbers32({0x06054b50}) + numbers16({0, 0, wide ? 0xffff : count, wide ? 0xffff : count}) +
            numbers32({wide ? kLimit : end - begin, wide ? kLimit : begin}) + numbers16({0}));
    }

private:
    static constexpr std::uint64_t kLimit = 0xffffffff;
    struct Entry {
        std::string name{};
        std::uint64_t offset = 0;
        std::uint64_t size = 0;
        std::uint32_t crc = 0;
    };

    template <std::size_t bytes>
    static std::string numbers(std::initializer_list<std::uint64_t> values) {
        std::string text;
        for (const std::uint64_t value : values) text.append(reinterpret_cast<const char*>(&value), bytes);
        return text;
    }
    static std::string numbers16(std::initializer_list<std::uint64_t> values) { return numbers<2>(values); }
    static std::string numbers32(std::initializer_list<std::uint64_t> values) { return numbers<4>(values); }
    static std::string numbers64(std::initializer_list<std::uint64_t> values) { return numbers<8>(values); }

    Entry begin_entry(const std::string& name) {
        Entry entry{.name = name};
        entry.offset = offset_;
        constexpr std::size_t kHeader = 30;
        constexpr std::size_t kAlignment = 64;
        // As torch does: an extra field of padding, so that the data begin on a multiple of 64 bytes.
        std::size_t padding = kAlignment - (offset_ + kHeader + name.size() + 4) % kAlignment;
        std::string header = numbers32({0x04034b50}) + numbers16({45, 8, 0, 0, 0}) + numbers32({0, 0, 0}) +
                             numbers16({name.size(), padding + 4}) + name + numbers16({0x4246, padding});
        header.append(padding, 'Z');
        put(header);
        return entry;
    }
    void end_entry(Entry entry, std::uint64_t size, std::uint32_t crc) {
        entry.size = size;
        entry.crc = crc;
        const bool wide = size >= kLimit || zip64_;
        put(numbers32({0x08074b50, crc}) + (wide ? numbers64({size, size}) : numbers32({size, size})));
        entries_.push_back(std::move(entry));
    }

    void put(const std::string& bytes) {
        sink_(bytes.data(), bytes.size());
        offset_ += bytes.size();
    }

    Write sink_;
    bool zip64_;
    std::uint64_t offset_ = 0;
    std::vector<Entry> entries_;
};

// A pickle as a chain of calls: Pickler().dict().mark().text("a").integer(1).set_items().stop().
class Pickler {
public:
    Pickler() { bytes = "\x80\x02"; }

    Pickler& raw(const std::string& opcodes) {
        bytes += opcodes;
        return *this;
    }
    Pickler& mark() { return raw("("); }
    Pickler& dict() { return raw("}"); }
    Pickler& set_items() { return raw("u"); }
    Pickler& tuple() { return raw("t"); }
    Pickler& reduce() { return raw("R"); }
    Pickler& text(const std::string& value) {
        const auto size = static_cast<std::uint32_t>(value.size());
        return raw("X").raw(std::string(reinterpret_cast<const char*>(&size), 4)).raw(value);
    }
    Pickler& integer(std::int64_t value) {
        const char* data = reinterpret_cast<const char*>(&value);
        if (value >= 0 && value < 256) return raw("K").raw(std::string(data, 1));
        if (value >= 0 && value < 65536) return raw("M").raw(std::string(data, 2));
        if (value == static_cast<std::int32_t>(value)) return raw("J").raw(std::string(data, 4));
        return raw("\x8a\x08").raw(std::string(data, 8));
    }
    Pickler& integers(const std::vector<std::int64_t>& values) {
        mark();
        for (const std::int64_t value : values) integer(value);
        return tuple();
    }
    Pickler& global(const std::string& module, const std::string& name) {
        return raw("c" + module + "\n" + name + "\n");
    }
    Pickler& ordered_dict() { return global("collections", "OrderedDict").raw(")R"); }
    // torch._utils._rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict())
    Pickler& tensor(const std::string& storage_class, const std::string& key, std::int64_t elements,
                    std::int64_t offset, const std::vector<std::int64_t>& shape,
                    const std::vector<std::int64_t>& stride) {
        global("torch._utils", "_rebuild_tensor_v2").mark();
        mark().text("storage").global("torch", storage_class).text(key).text("cpu").integer(elements).tuple().raw("Q");
        integer(offset).integers(shape).integers(stride).raw("\x89").ordered_dict();
        return tuple().reduce();
    }
    Pickler& stop() { return raw("."); }

    std::string bytes;
};

inline const char* storage_class(Dtype dtype) {
    switch (dtype) {
        case Dtype::f64: return "DoubleStorage";
        case Dtype::f32: return "FloatStorage";
        case Dtype::f16: return "HalfStorage";
        case Dtype::bf16: return "BFloat16Storage";
        case Dtype::i64: return "LongStorage";
        case Dtype::i32: return "IntStorage";
        case Dtype::i16: return "ShortStorage";
        case Dtype::i8: return "CharStorage";
        case Dtype::boolean: return "BoolStorage";
        default: return "ByteStorage";
    }
}

inline std::vector<std::int64_t> row_major(const std::vector<std::int64_t>& shape) {
    std::vector<std::int64_t> stride(shape.size(), 1);
    for (std::size_t i = shape.size(); i-- > 1;) stride[i - 1] = stride[i] * shape[i];
    return stride;
}

struct SavedTensor {
    std::string name;
    Dtype dtype = Dtype::f32;
    std::vector<std::int64_t> shape{};

    std::int64_t elements() const {
        std::int64_t count = 1;
        for (const std::int64_t size : shape) count *= size;
        return count;
    }
};

// The archive of torch.save({outer: OrderedDict(tensors)}), or of the OrderedDict itself where `outer` is empty.
// `add(i, entry)` puts the bytes of tensor i into the zip under that name. with_others: the outer dict also holds
// another network of one tensor and a number.
inline void save_archive(ZipWriter& zip, const std::string& outer, const std::vector<SavedTensor>& tensors,
                         bool with_others, const std::function<void(std::size_t, const std::string&)>& add,
                         const std::string& root = "archive") {
    const std::string other_key = std::to_string(tensors.size());
    Pickler pickle;
    if (!outer.empty()) pickle.dict().mark().text(outer);
    pickle.ordered_dict().mark();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const SavedTensor& tensor = tensors[i];
        pickle.text(tensor.name)
            .tensor(storage_class(tensor.dtype), std::to_string(i), tensor.elements(), 0, tensor.shape,
                    row_major(tensor.shape));
    }
    pickle.set_items();
    if (with_others)
        pickle.text("critic")
            .dict()
            .mark()
            .text("head.weight")
            .tensor("FloatStorage", other_key, 1, 0, {1}, {1})
            .set_items()
            .text("step")
            .integer(4000);
    if (!outer.empty()) pickle.set_items();
    zip.entry(root + "/data.pkl", pickle.stop().bytes);
    zip.entry(root + "/byteorder", "little");
    for (std::size_t i = 0; i < tensors.size(); ++i) add(i, root + "/data/" + std::to_string(i));
    if (with_others) zip.entry(root + "/data/" + other_key, std::string(4, '\0'));
    zip.entry(root + "/version", "3\n");
    zip.finish();
}

// The same, written as it comes: `values(i, write)` writes the bytes of tensor i.
inline void save_tensors(const Write& sink, const std::string& outer, const std::vector<SavedTensor>& tensors,
                         const std::function<void(std::size_t, const Write&)>& values, bool zip64 = false,
                         const std::string& root = "archive") {
    ZipWriter zip(sink, zip64);
    save_archive(
        zip, outer, tensors, false,
        [&](std::size_t i, const std::string& entry) {
            zip.entry(entry, [&](const Write& write) { values(i, write); });
        },
        root);
}

} // namespace wander::test
