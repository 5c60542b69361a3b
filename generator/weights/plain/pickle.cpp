#include "generator/weights/pickle.hpp"

#include <cstring>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace wander {
namespace {

// 825 tensors make some 25,000 nodes.
constexpr std::size_t kMaxNodes = 1 << 20;
constexpr std::size_t kMaxStack = 1 << 20;
constexpr std::size_t kMaxMemo = 1 << 20;
constexpr std::size_t kMaxGlobal = 512; // characters of a module or a name

// Opcodes, Python's pickletools.
enum Op : std::uint8_t {
    op_mark = '(',
    op_stop = '.',
    op_pop = '0',
    op_pop_mark = '1',
    op_bin_float = 'G',
    op_bin_int = 'J',
    op_bin_int1 = 'K',
    op_bin_int2 = 'M',
    op_none = 'N',
    op_bin_pers_id = 'Q',
    op_reduce = 'R',
    op_bin_string = 'T',
    op_short_bin_string = 'U',
    op_bin_unicode = 'X',
    op_append = 'a',
    op_build = 'b',
    op_global = 'c',
    op_empty_dict = '}',
    op_appends = 'e',
    op_bin_get = 'h',
    op_long_bin_get = 'j',
    op_empty_list = ']',
    op_bin_put = 'q',
    op_long_bin_put = 'r',
    op_set_item = 's',
    op_tuple = 't',
    op_empty_tuple = ')',
    op_set_items = 'u',
    op_bin_bytes = 'B',
    op_short_bin_bytes = 'C',
    op_proto = 0x80,
    op_new_object = 0x81,
    op_tuple1 = 0x85,
    op_tuple2 = 0x86,
    op_tuple3 = 0x87,
    op_new_true = 0x88,
    op_new_false = 0x89,
    op_long1 = 0x8a,
    op_short_bin_unicode = 0x8c,
    op_bin_unicode8 = 0x8d,
    op_empty_set = 0x8f,
    op_add_items = 0x90,
    op_new_object_ex = 0x92,
    op_stack_global = 0x93,
    op_memoize = 0x94,
    op_frame = 0x95,
};

using Kind = PickleNode::Kind;
using Index = std::uint32_t;

Error bad(std::string message) { return {ErrorCode::bad_input, "not a usable pickle: " + std::move(message)}; }

class Machine {
public:
    explicit Machine(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    Result<Pickle> run() {
        while (!stopped_) {
            const std::size_t at = at_;
            std::uint8_t op = 0;
            const bool done = read(op) && step(op);
            if (!done && trouble_.empty()) trouble_ = at_ >= bytes_.size() ? "it ends too early" : "it is damaged";
            if (!done) return bad(fmt::format("{} (opcode {:#04x} at byte {})", trouble_, op, at));
        }
        return std::move(pickle_);
    }

private:
    bool fail(const char* why) {
        trouble_ = why;
        return false;
    }

    template <typename T>
    bool read(T& value) {
        if (bytes_.size() - at_ < sizeof value) return false;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return true;
    }

    template <typename Length>
    bool read_bytes(std::string& text) {
        Length length{};
        if (!read(length) || bytes_.size() - at_ < length) return false;
        text.assign(reinterpret_cast<const char*>(bytes_.data() + at_), static_cast<std::size_t>(length));
        at_ += static_cast<std::size_t>(length);
        return true;
    }

    bool read_line(std::string& text) {
        for (std::size_t end = at_; end < bytes_.size() && end - at_ <= kMaxGlobal; ++end) {
            if (bytes_[end] != '\n') continue;
            text.assign(reinterpret_cast<const char*>(bytes_.data() + at_), end - at_);
            at_ = end + 1;
            return true;
        }
        return false;
    }

    bool push(Index index) {
        if (stack_.size() >= kMaxStack) return fail("it stacks up too many objects");
        stack_.push_back(index);
        return true;
    }

    bool push_node(PickleNode node) {
        if (pickle_.nodes.size() >= kMaxNodes) return fail("it holds more objects than any checkpoint");
        pickle_.nodes.push_back(std::move(node));
        return push(static_cast<Index>(pickle_.nodes.size() - 1));
    }

    bool push_kind(Kind kind) { return push_node({.kind = kind}); }
    bool push_integer(std::int64_t value) { return push_node({.kind = Kind::integer, .integer = value}); }

    // How many objects lie above the last mark, which bounds what an opcode may take.
    std::size_t above_mark() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

    bool pop(Index& index) {
        if (above_mark() < 1) return fail("it takes an object where there is none");
        index = stack_.back();
        stack_.pop_back();
        return true;
    }

    bool pop_to_mark(std::vector<Index>& items) {
        if (marks_.empty()) return fail("it takes objects up to a mark where there is none");
        items.assign(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
        stack_.resize(marks_.back());
        marks_.pop_back();
        return true;
    }

    bool push_tuple(std::size_t count) {
        if (above_mark() < count) return fail("it takes an object where there is none");
        PickleNode node{.kind = Kind::tuple};
        node.items.assign(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
        stack_.resize(stack_.size() - count);
        return push_node(std::move(node));
    }

    // Appends to a list, or sets keys and values on a dict; what a call gives may be either.
    bool add(const std::vector<Index>& items, Kind kind) {
        if (above_mark() < 1) return fail("it adds to an object where there is none");
        if (kind == Kind::dict && items.size() % 2 != 0) return fail("a key has no value");
        PickleNode& node = pickle_.nodes[stack_.back()];
        if (node.kind == Kind::call || node.kind == Kind::other) {
            if (kind != Kind::dict || node.kind == Kind::other) return true; // no container that a tensor is read from
        } else if (node.kind != kind) {
            return fail("it adds to an object that holds nothing");
        }
        if (added_ + items.size() > kMaxStack) return fail("it holds more objects than any checkpoint");
        added_ += items.size();
        node.items.insert(node.items.end(), items.begin(), items.end());
        return true;
    }

    bool push_global(const std::string& module, const std::string& name) {
        return push_node({.kind = Kind::global, .text = module + "." + name});
    }

    bool put(std::uint32_t key) {
        if (above_mark() < 1) return fail("it remembers an object where there is none");
        if (memo_.size() >= kMaxMemo) return fail("it remembers too many objects");
        memo_[key] = stack_.back();
        return true;
    }

    bool get(std::uint32_t key) {
        const auto found = memo_.find(key);
        return found != memo_.end() ? push(found->second) : fail("it recalls an object that it did not remember");
    }

    bool push_call() {
        PickleNode node{.kind = Kind::call};
        return pop(node.argument) && pop(node.callee) && push_node(std::move(node));
    }

    bool push_long() {
        std::string digits;
        if (!read_bytes<std::uint8_t>(digits)) return false;
        if (digits.size() > sizeof(std::int64_t)) return push_kind(Kind::other);
        // Two's complement, little-endian.
        std::uint64_t value = !digits.empty() && (static_cast<std::uint8_t>(digits.back()) & 0x80U) ? ~0ULL : 0;
        std::memcpy(&value, digits.data(), digits.size());
        return push_integer(static_cast<std::int64_t>(value));
    }

    template <typename T>
    bool push_number() {
        T value{};
        return read(value) && push_integer(static_cast<std::int64_t>(value));
    }

    template <typename Length>
    bool push_text(Kind kind = Kind::text) {
        PickleNode node{.kind = kind};
        if (!read_bytes<Length>(node.text)) return false;
        if (kind == Kind::other) node.text.clear();
        return push_node(std::move(node));
    }

    bool step_global(std::uint8_t op) {
        std::string module;
        std::string name;
        if (op == op_global) return read_line(module) && read_line(name) && push_global(module, name);
        Index name_index = 0;
        Index module_index = 0;
        if (!pop(name_index) || !pop(module_index)) return false;
        const PickleNode& name_node = pickle_[name_index];
        const PickleNode& module_node = pickle_[module_index];
        if (name_node.kind != Kind::text || module_node.kind != Kind::text || name_node.text.size() > kMaxGlobal ||
            module_node.text.size() > kMaxGlobal) {
            return fail("a global's name is no text");
        }
        return push_global(module_node.text, name_node.text);
    }

    bool step_container(std::uint8_t op) {
        std::vector<Index> items;
        Index value = 0;
        Index key = 0;
        switch (op) {
            case op_tuple: {
                PickleNode node{.kind = Kind::tuple};
                return pop_to_mark(node.items) && push_node(std::move(node));
            }
            case op_append: return pop(value) && add({value}, Kind::list);
            case op_appends: return pop_to_mark(items) && add(items, Kind::list);
            case op_set_item: return pop(value) && pop(key) && add({key, value}, Kind::dict);
            case op_set_items: return pop_to_mark(items) && add(items, Kind::dict);
            case op_add_items: return pop_to_mark(items) && above_mark() > 0; // a set holds no tensors
            case op_pop_mark: return pop_to_mark(items);
            case op_build: return pop(value) && above_mark() > 0;    // attributes; no tensor is read from them
            case op_new_object_ex: return pop(value) && push_call(); // keyword arguments
            default: return fail("it has an opcode that no checkpoint needs");
        }
    }

    bool step(std::uint8_t op) {
        Index index = 0;
        std::uint8_t byte = 0;
        std::uint32_t word = 0;
        std::uint64_t wide = 0;
        switch (op) {
            case op_proto: return read(byte) && (byte <= 5 || fail("its protocol is unknown"));
            case op_frame: return read(wide);
            case op_stop:
                stopped_ = true;
                return pop(pickle_.root) && (stack_.empty() || fail("objects are left over"));
            case op_mark:
                if (marks_.size() >= kMaxStack) return fail("it stacks up too many objects");
                marks_.push_back(stack_.size());
                return true;
            case op_pop: return pop(index);
            case op_none: return push_kind(Kind::none);
            case op_new_true:
            case op_new_false: return push_node({.kind = Kind::boolean, .integer = op == op_new_true});
            case op_bin_int: return push_number<std::int32_t>();
            case op_bin_int1: return push_number<std::uint8_t>();
            case op_bin_int2: return push_number<std::uint16_t>();
            case op_long1: return push_long();
            case op_bin_float: return read(wide) && push_kind(Kind::other);
            case op_bin_unicode: return push_text<std::uint32_t>();
            case op_short_bin_unicode: return push_text<std::uint8_t>();
            case op_bin_unicode8: return push_text<std::uint64_t>();
            case op_bin_string: return push_text<std::uint32_t>();
            case op_short_bin_string: return push_text<std::uint8_t>();
            case op_bin_bytes: return push_text<std::uint32_t>(Kind::other);
            case op_short_bin_bytes: return push_text<std::uint8_t>(Kind::other);
            case op_empty_dict: return push_kind(Kind::dict);
            case op_empty_list: return push_kind(Kind::list);
            case op_empty_tuple: return push_kind(Kind::tuple);
            case op_empty_set: return push_kind(Kind::other);
            case op_tuple1: return push_tuple(1);
            case op_tuple2: return push_tuple(2);
            case op_tuple3: return push_tuple(3);
            case op_bin_put: return read(byte) && put(byte);
            case op_long_bin_put: return read(word) && put(word);
            case op_memoize: return put(static_cast<std::uint32_t>(memo_.size()));
            case op_bin_get: return read(byte) && get(byte);
            case op_long_bin_get: return read(word) && get(word);
            case op_bin_pers_id: return pop(index) && push_node({.kind = Kind::persistent, .argument = index});
            case op_reduce:
            case op_new_object: return push_call();
            case op_global:
            case op_stack_global: return step_global(op);
            default: return step_container(op);
        }
    }

    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
    Pickle pickle_;
    std::vector<Index> stack_;
    std::vector<std::size_t> marks_; // heights of the stack
    std::unordered_map<std::uint32_t, Index> memo_;
    std::size_t added_ = 0;
    std::string trouble_;
    bool stopped_ = false;
};

} // namespace

Result<Pickle> read_pickle(std::span<const std::uint8_t> bytes) { return Machine(bytes).run(); }

} // namespace wander
