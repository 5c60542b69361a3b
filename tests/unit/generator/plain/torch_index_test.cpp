// Files of torch.save and what damaged or hostile ones do: they are refused with a message, never believed or executed.

#include "generator/weights/torch_index.hpp"

#include "generator/weights/pickle.hpp"
#include "generator/weights/zip_directory.hpp"
#include "tests/support/torch_archive_writer.hpp"

#include <gtest/gtest.h>

namespace wander {
namespace {

using test::Pickler;
using test::SavedTensor;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// An archive with this pickle and these storages.
std::string archive(const std::string& pickle, const std::vector<std::pair<std::string, std::string>>& storages,
                    bool zip64 = false, const std::string& order = "little") {
    std::string file;
    test::ZipWriter zip(
        [&file](const void* data, std::size_t size) { file.append(static_cast<const char*>(data), size); }, zip64);
    zip.entry("archive/data.pkl", pickle);
    if (!order.empty()) zip.entry("archive/byteorder", order);
    for (const auto& [key, bytes] : storages) zip.entry("archive/data/" + key, bytes);
    zip.entry("archive/version", "3\n");
    zip.finish();
    return file;
}

std::string floats(int count) { return std::string(static_cast<std::size_t>(count) * 4, '\1'); }

Result<TorchIndex> parse(const std::string& file) { return parse_torch_archive(bytes_of(file)); }

// {"w": a tensor} over one storage of 12 floats.
std::string one_tensor(std::int64_t elements, std::int64_t offset, const std::vector<std::int64_t>& shape,
                       const std::vector<std::int64_t>& stride) {
    return Pickler()
        .dict()
        .mark()
        .text("w")
        .tensor("FloatStorage", "0", elements, offset, shape, stride)
        .set_items()
        .stop()
        .bytes;
}

TEST(TorchIndex, ReadsWhatTorchSaveWrites) {
    for (const bool zip64 : {false, true}) {
        std::string file;
        const std::vector<SavedTensor> tensors = {
            {"model.a", Dtype::f32, {2, 3}}, {"model.b", Dtype::bf16, {5}}, {"model.c", Dtype::i64, {}}};
        test::save_tensors(
            [&file](const void* data, std::size_t size) { file.append(static_cast<const char*>(data), size); },
            "generator_ema", tensors,
            [&](std::size_t i, const test::Write& write) {
                const std::string bytes(static_cast<std::size_t>(tensors[i].elements()) * dtype_bytes(tensors[i].dtype),
                                        static_cast<char>('a' + i));
                write(bytes.data(), bytes.size());
            },
            zip64, "any name");
        const auto index = parse(file);
        ASSERT_TRUE(index) << index.error().message;
        ASSERT_EQ(index->tensors.size(), 3U);
        EXPECT_TRUE(index->unread.empty());
        const TorchTensorEntry& a = index->tensors.at("generator_ema/model.a");
        EXPECT_EQ(a.shape, (std::vector<std::int64_t>{2, 3}));
        EXPECT_EQ(a.stride, (std::vector<std::int64_t>{3, 1}));
        EXPECT_TRUE(a.contiguous());
        EXPECT_EQ(a.begin % 64, 0U);
        EXPECT_EQ(file.substr(a.begin, a.end - a.begin), std::string(24, 'a'));
        const TorchTensorEntry& b = index->tensors.at("generator_ema/model.b");
        EXPECT_EQ(b.dtype, Dtype::bf16);
        EXPECT_EQ(file.substr(b.begin, b.end - b.begin), std::string(10, 'b'));
        const TorchTensorEntry& c = index->tensors.at("generator_ema/model.c");
        EXPECT_TRUE(c.shape.empty());
        EXPECT_EQ(file.substr(c.begin, c.end - c.begin), std::string(8, 'c'));
    }
}

TEST(TorchIndex, SharedStoragesOffsetsAndStridesAreHonoured) {
    Pickler pickle;
    pickle.dict().mark();
    pickle.text("rows").tensor("FloatStorage", "0", 12, 0, {3, 4}, {4, 1});
    pickle.text("columns").tensor("FloatStorage", "0", 12, 0, {4, 3}, {1, 4});
    pickle.text("last").tensor("FloatStorage", "0", 12, 8, {4}, {1});
    pickle.text("empty").tensor("FloatStorage", "0", 12, 12, {0, 4}, {4, 1});
    const std::string file = archive(pickle.set_items().stop().bytes, {{"0", floats(12)}});
    const auto index = parse(file);
    ASSERT_TRUE(index) << index.error().message;
    const auto& rows = index->tensors.at("rows");
    const auto& columns = index->tensors.at("columns");
    const auto& last = index->tensors.at("last");
    EXPECT_EQ(rows.begin, columns.begin);
    EXPECT_EQ(last.begin, rows.begin + 32);
    EXPECT_EQ(last.end, rows.end);
    EXPECT_FALSE(columns.contiguous());
    EXPECT_EQ(index->tensors.at("empty").begin, index->tensors.at("empty").end);
}

TEST(TorchIndex, UnknownGlobalsMatterOnlyToWhoWantsThem) {
    Pickler pickle;
    pickle.dict().mark();
    pickle.text("weights").dict().mark().text("w").tensor("FloatStorage", "0", 12, 0, {12}, {1}).set_items();
    // What would run a command if pickles were executed.
    pickle.text("evil").global("os", "system").mark().text("touch /tmp/never").tuple().reduce();
    pickle.text("config").global("argparse", "Namespace").raw(")\x81}").mark().text("lr").raw("G");
    pickle.raw(std::string(8, '\0')).set_items().raw("b");
    pickle.text("strange").tensor("ComplexFloatStorage", "0", 6, 0, {6}, {1});
    pickle.text("step").integer(1000);
    const auto index = parse(archive(pickle.set_items().stop().bytes, {{"0", floats(12)}}));
    ASSERT_TRUE(index) << index.error().message;
    ASSERT_EQ(index->tensors.size(), 1U);
    EXPECT_TRUE(index->tensors.contains("weights/w"));
    EXPECT_NE(index->unread.at("evil").find("os.system"), std::string::npos);
    EXPECT_NE(index->unread.at("config").find("argparse.Namespace"), std::string::npos);
    EXPECT_NE(index->unread.at("strange").find("ComplexFloatStorage"), std::string::npos);
}

TEST(TorchIndex, ParametersAndListsAreSeenThrough) {
    Pickler pickle;
    pickle.dict().mark().text("list").raw("]").mark();
    pickle.global("torch._utils", "_rebuild_parameter").mark();
    pickle.tensor("HalfStorage", "k", 24, 0, {24}, {1}).raw("\x88").ordered_dict().tuple().reduce();
    pickle.tensor("HalfStorage", "k", 24, 1, {2}, {1}).raw("e").set_items().stop();
    const auto index = parse(archive(pickle.bytes, {{"k", floats(12)}}));
    ASSERT_TRUE(index) << index.error().message;
    EXPECT_EQ(index->tensors.at("list/0").dtype, Dtype::f16);
    EXPECT_EQ(index->tensors.at("list/1").begin, index->tensors.at("list/0").begin + 2);
}

TEST(TorchIndex, RefusesEveryTruncation) {
    const std::string file = archive(one_tensor(12, 0, {3, 4}, {4, 1}), {{"0", floats(12)}});
    ASSERT_TRUE(parse(file));
    for (std::size_t size = 0; size < file.size(); ++size)
        EXPECT_FALSE(parse(file.substr(0, size))) << size << " of " << file.size() << " bytes";
}

// Whatever one changed byte makes of the file, what is accepted lies inside of it.
TEST(TorchIndex, OneDamagedByteNeverLeadsOutOfTheFile) {
    const std::string whole = archive(one_tensor(12, 0, {3, 4}, {4, 1}), {{"0", floats(12)}}, true);
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const char byte : {'\0', '\1', '\x7f', '\xff'}) {
            std::string file = whole;
            file[at] = byte;
            const auto index = parse(file);
            if (!index) continue;
            for (const auto& [name, entry] : index->tensors) {
                ASSERT_LE(entry.begin, entry.end);
                ASSERT_LE(entry.end, file.size());
            }
        }
    }
}

struct Damage {
    const char* name;
    std::string file;
    const char* message; // a part of it
};

class DamagedArchive : public testing::TestWithParam<Damage> {};

TEST_P(DamagedArchive, IsRefusedWithItsReason) {
    const auto index = parse(GetParam().file);
    ASSERT_FALSE(index);
    EXPECT_EQ(index.error().code, ErrorCode::bad_input);
    EXPECT_NE(index.error().message.find(GetParam().message), std::string::npos) << index.error().message;
}

std::string nested_dicts(int depth) {
    Pickler pickle;
    for (int i = 0; i < depth; ++i) pickle.dict().mark().text("a");
    pickle.integer(1);
    for (int i = 0; i < depth; ++i) pickle.set_items();
    return archive(pickle.stop().bytes, {});
}

// Thirty dicts, each holding the one before it twice: 2^30 ways to the innermost.
std::string many_ways() {
    Pickler pickle;
    pickle.dict();
    for (char level = 0; level < 30; ++level) {
        const std::string slot(1, level);
        pickle.raw("q" + slot + "0").dict().mark().text("a").raw("h" + slot).text("b").raw("h" + slot).set_items();
    }
    return archive(pickle.stop().bytes, {});
}

std::string with_byte(std::string file, const std::string& signature, std::ptrdiff_t offset, char byte) {
    file[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(file.rfind(signature)) + offset)] = byte;
    return file;
}

INSTANTIATE_TEST_SUITE_P(
    TorchIndex, DamagedArchive,
    testing::Values(
        Damage{"ShortStorage", archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(11)}}), "short of 12 elements"},
        Damage{"LessThanOneElement", archive(one_tensor(1, 0, {1}, {1}), {{"0", "abc"}}), "short of 1 elements"},
        Damage{"MissingStorage", archive(one_tensor(12, 0, {12}, {1}), {{"1", floats(12)}}),
               "'archive/data/0' are missing"},
        Damage{"OffsetTooFar", archive(one_tensor(12, 1, {3, 4}, {4, 1}), {{"0", floats(12)}}), "beyond its storage"},
        Damage{"StrideTooFar", archive(one_tensor(12, 0, {3, 4}, {5, 1}), {{"0", floats(12)}}), "beyond its storage"},
        Damage{"NegativeOffset", archive(one_tensor(12, -1, {2}, {1}), {{"0", floats(12)}}), "no list of counts"},
        Damage{"NegativeStride", archive(one_tensor(12, 4, {2}, {-1}), {{"0", floats(12)}}), "no list of counts"},
        Damage{"NegativeCount", archive(one_tensor(-12, 0, {2}, {1}), {{"0", floats(12)}}), "not described"},
        Damage{"HugeShape", archive(one_tensor(12, 0, {1LL << 62, 1LL << 62}, {1LL << 62, 1}), {{"0", floats(12)}}),
               "beyond its storage"},
        Damage{"RepeatedElements", archive(one_tensor(12, 0, {1LL << 40}, {0}), {{"0", floats(12)}}),
               "repeats elements"},
        Damage{
            "NineDimensions",
            archive(one_tensor(12, 0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}), {{"0", floats(12)}}),
            "no list of counts"},
        Damage{"BigEndian", archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(12)}}, false, "big"),
               "byte order is 'big'"},
        Damage{"NoPickle", archive("", {}), "too early"}, Damage{"NoStop", archive("\x80\x02}", {}), "too early"},
        Damage{"ForeignOpcode", archive("\x80\x02\x82\x01.", {}), "opcode 0x82 at byte 2"},
        Damage{"NothingToTake", archive("\x80\x02R.", {}), "where there is none"},
        Damage{"NothingRemembered", archive("\x80\x02h\x05.", {}), "did not remember"},
        Damage{"TextTooLong", archive(std::string("\x80\x02X\xff\xff\xff\xff", 7) + "a.", {}),
               "is damaged (opcode 0x58"},
        Damage{"KeyWithoutValue", archive("\x80\x02}(K\x01u.", {}), "no value"},
        Damage{"LeftOver", archive("\x80\x02NN.", {}), "left over"},
        Damage{"NestedDeeply", nested_dicts(100), "nested deeper"}, Damage{"ManyWays", many_ways(), "nested deeper"},
        Damage{"OldFormat", std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8", 12), "before torch 1.6"},
        Damage{"NoZip", "PNG or anything else", "missing: the file may be cut off"},
        Damage{"Compressed",
               with_byte(archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(12)}}), "archive/data/0", -36, '\x08'),
               "are compressed"},
        Damage{"EntryNotThere",
               with_byte(archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(12)}}), "archive/data/0", -4, '\x7f'),
               "where it should be"},
        Damage{"EntryTooLarge",
               with_byte(with_byte(archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(12)}}), "archive/data/0", -24,
                                   '\x7f'),
                         "archive/data/0", -20, '\x7f'),
               "does not fit into the file"},
        Damage{"DirectoryTooFar",
               with_byte(archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(12)}}), "PK\5\6", 18, '\x7f'),
               "does not fit into the file"},
        Damage{"TooManyEntries",
               with_byte(archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(12)}}), "PK\5\6", 11, '\x7f'),
               "do not fit into its directory"},
        Damage{"Zip64RecordElsewhere",
               with_byte(archive(one_tensor(12, 0, {12}, {1}), {{"0", floats(12)}}, true), "PK\6\7", 8, '\x01'),
               "ZIP64 record is not"}),
    [](const testing::TestParamInfo<Damage>& damage) { return damage.param.name; });

TEST(TorchIndex, TwoArchivesOrTwoTensorsOfOneNameAreRefused) {
    std::string file;
    const auto sink = [&file](const void* data, std::size_t size) {
        file.append(static_cast<const char*>(data), size);
    };
    test::ZipWriter zip(sink);
    zip.entry("a/data.pkl", "\x80\x02}.");
    zip.entry("b/data.pkl", "\x80\x02}.");
    zip.finish();
    EXPECT_NE(parse(file).error().message.find("two archives"), std::string::npos);

    file.clear();
    test::ZipWriter twice(sink);
    twice.entry("a/data.pkl", "\x80\x02}.");
    twice.entry("a/data.pkl", "\x80\x02}.");
    twice.finish();
    EXPECT_NE(parse(file).error().message.find("two entries"), std::string::npos);

    Pickler pickle;
    pickle.dict().mark();
    pickle.text("w").tensor("FloatStorage", "0", 12, 0, {12}, {1});
    pickle.text("w").tensor("FloatStorage", "0", 12, 0, {2}, {1});
    const auto index = parse(archive(pickle.set_items().stop().bytes, {{"0", floats(12)}}));
    ASSERT_FALSE(index);
    EXPECT_NE(index.error().message.find("two tensors"), std::string::npos);
}

TEST(Pickle, CountsAreBounded) {
    // 2^21 times None on the stack would be too many nodes; 2^21 recalls too many stacked objects.
    std::string nones = "\x80\x02" + std::string((1 << 20) + 1, 'N') + ".";
    EXPECT_NE(read_pickle(bytes_of(nones)).error().message.find("more objects"), std::string::npos);
    std::string recalls = std::string("\x80\x02Nq\0", 5);
    for (int i = 0; i < (1 << 20) + 1; ++i) recalls += std::string("h\0", 2);
    EXPECT_NE(read_pickle(bytes_of(recalls)).error().message.find("too many"), std::string::npos);
    EXPECT_FALSE(read_pickle(bytes_of("\x80\x02" + std::string((1 << 20) + 1, '(') + ".")));
}

TEST(Pickle, AnObjectThatHoldsItselfEnds) {
    // A list appended to itself.
    const auto pickle = read_pickle(bytes_of(std::string("\x80\x02]q\0h\0a.", 9)));
    ASSERT_TRUE(pickle) << pickle.error().message;
    EXPECT_EQ((*pickle)[pickle->root].items.at(0), pickle->root);
    EXPECT_FALSE(parse(archive(std::string("\x80\x02]q\0h\0a.", 9), {})));
}

TEST(ZipDirectory, FindsTheEndBehindAComment) {
    std::string file = archive("\x80\x02}.", {});
    file[file.size() - 2] = 5;
    file += "hello";
    EXPECT_TRUE(read_zip_directory(bytes_of(file)));
}

} // namespace
} // namespace wander
