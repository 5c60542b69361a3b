// String literals of Python source: what they say to Python, joined where they stand beside each other.

#include "generator/models/python_literals.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wander {
namespace {

using Texts = std::vector<std::string>;

TEST(PythonLiterals, QuotesAndPrefixes) {
    EXPECT_EQ(python_literals(R"(a = 'one'; b = "it's"; c = u"x"; d = R'\n')"), (Texts{"one", "it's", "x", "\\n"}));
    EXPECT_EQ(python_literals("x = '''a\n'b'\n\"c\"'''"), (Texts{"a\n'b'\n\"c\""}));
    EXPECT_EQ(python_literals("x = \"\"\"\"q\"\"\" ; y = ''"), (Texts{"\"q", ""}));
    EXPECT_EQ(python_literals("f'{x}', b'raw', rb'q', 'kept'"), (Texts{"kept"})) << "no texts, or not as they stand";
    EXPECT_EQ(python_literals("if x in'ab': return\"cd\""), (Texts{"ab", "cd"}));
    EXPECT_EQ(python_literals("x = r'a\\'b'"), (Texts{"a\\'b"}))
        << "a raw literal keeps the backslash, the quote does not end it";
}

TEST(PythonLiterals, Escapes) {
    EXPECT_EQ(python_literals(R"('\n\t\\\'\"\x41\101\u00e9\U0001f600\q')"), (Texts{"\n\t\\'\"AA\u00e9\U0001f600\\q"}));
    EXPECT_EQ(python_literals(R"('\N{BULLET}' + 'a')"), (Texts{"a"}));
    EXPECT_EQ(python_literals(R"('\x4' , 'b')"), (Texts{"b"})) << "no two digits";
    // A line that goes on inside a literal keeps the spaces at the next one's beginning.
    EXPECT_EQ(python_literals("x = 'first \\\n         1. second'"), (Texts{"first          1. second"}));
    EXPECT_EQ(python_literals("x = 'first \\\r\n   second'\r\ny = '''a\r\nb'''"), (Texts{"first    second", "a\nb"}));
}

TEST(PythonLiterals, NeighboursAreOneText) {
    EXPECT_EQ(python_literals("f('a', 'b')"), (Texts{"a", "b"}));
    EXPECT_EQ(python_literals("x = ('a'  # one 'not this'\n     \"b\" \\\n  'c')"), (Texts{"a", "b", "c", "abc"}));
    EXPECT_EQ(python_literals("x = 'a' f'{y}' 'b'"), (Texts{"a", "b"}));
}

TEST(PythonLiterals, NoPythonIsNoError) {
    EXPECT_EQ(python_literals(""), Texts());
    EXPECT_EQ(python_literals("'not closed\n'closed'"), (Texts{"closed"}));
    EXPECT_EQ(python_literals("'''never closed"), Texts());
    EXPECT_EQ(python_literals("'\\"), Texts());
    EXPECT_EQ(python_literals("'\\x"), Texts());
    EXPECT_EQ(python_literals("r'\\"), Texts());
    EXPECT_EQ(python_literals(std::string("\0'a'\0", 5)), (Texts{"a"}));
}

} // namespace
} // namespace wander
