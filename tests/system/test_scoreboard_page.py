"""prefork.scoreboard(5) says where each field lies: compared with what the compiler says, and
its example is compiled and run."""

import re

import pytest

import scorefiles
from scorefiles import Scoreboard, line
from support import REPO

PAGE = (REPO / "docs/man/prefork.scoreboard.5").read_text()
STRUCTS = {"The head": "pf_score_head", "A record": "pf_score", "A line": "pf_score_line",
           "One end of a connection": "pf_score_end", "The totals": "pf_score_totals"}


def rows(section):
    """The table of a section: (offset, bytes, type, name), as the page has them."""
    text = PAGE.partition(f".Ss {section}\n")[2].partition("\n.S")[0]
    found = re.findall(r"^\.It (\d+) Ta (\d+) Ta (\w+) Ta (\w+) Ta", text, re.MULTILINE)
    return [(int(offset), int(size), kind, name) for offset, size, kind, name in found]


def members(struct):
    """Names of the members, from the header."""
    header = re.sub(r"/\*.*?\*/", "", (REPO / "src/link/score.h").read_text(), flags=re.DOTALL)
    body = re.search(rf"struct {struct} \{{(.*?)\}};", header, re.DOTALL).group(1)
    return re.findall(r"(\w+)(?:\[\w+\])?;", body)


def compiled(server, struct):
    """(offset, bytes, name) of each member, from the compiler; and the size of it all."""
    prints = "".join(
        f'printf("%zu %zu {name}\\n", offsetof(struct {struct}, {name}), '
        f"sizeof(((struct {struct} *)0)->{name}));" for name in members(struct))
    program = server.build(
        '#include "link/score.h"\n#include <stddef.h>\n#include <stdio.h>\n'
        f'int main(void) {{ {prints} printf("%zu 0 all\\n", sizeof(struct {struct})); }}',
        f"-I{REPO / 'src'}", library=False)
    lines = [text.split() for text in server.command(program).stdout.splitlines()]
    return [(int(offset), int(size), name) for offset, size, name in lines]


@pytest.mark.parametrize("section", STRUCTS)
def test_offsets_are_those_of_the_compiler(server, section):
    """Every field, no other, and no holes."""
    found = compiled(server, STRUCTS[section])
    assert [(offset, size, name) for offset, size, _, name in rows(section)] == found[:-1]
    at = 0
    for offset, size, _, _ in rows(section):
        assert offset == at
        at = offset + size
    assert at == found[-1][0]


def test_types_have_the_sizes_of_their_fields():
    """uint32_t has 4 bytes, an end is what its own table says, and so on."""
    sizes = {"uint8_t": 1, "uint16_t": 2, "int32_t": 4, "uint32_t": 4, "int64_t": 8,
             "uint64_t": 8}
    for section, name in (("One end of a connection", "end"), ("A line", "line"),
                          ("A record", "record")):
        sizes[name] = sum(size for _, size, _, _ in rows(section))
    for section in STRUCTS:
        for _, size, kind, name in rows(section):
            assert kind == "char" or name == "address" or sizes[kind] == size, name


def test_numbers_of_the_text():
    """Constants that the text names are those of the header."""
    header = (REPO / "src/link/score.h").read_text()
    record = (REPO / "src/status/record.h").read_text()
    assert '#define PF_SCORE_MAGIC "PREFORK\\n"' in header
    assert "#define PF_SCORE_ORDER 0x01020304u" in header and "0x01020304" in PAGE
    assert "PF_SCORE_VERSION = 1," in header and re.search(r"Ta version Ta 1$", PAGE, re.M)
    assert "PF_RECORD_COUNT_MAX = 1 << 20," in record and "at most 1048576 records" in PAGE
    letters = set(re.findall(r"^\.It Li (?:\\&)?(\S)$", PAGE, re.MULTILINE))
    assert letters == set(re.findall(r"PF_SCORE_\w+ = '(.)'", header)) | {"."}
    for section, least in (("The head", 304), ("A record", 200)):
        assert sum(size for _, size, _, _ in rows(section)) == least
        assert re.search(rf"^(?:is )?at least {least}\b", PAGE, re.MULTILINE)


def test_the_example_reads_a_scoreboard(server, tmp_path):
    """As it stands on the page, without a warning."""
    text = PAGE.partition(".Bd -literal\n")[2].partition(".Ed\n")[0].replace(r"\e", "\\")
    program = server.build(text, "-Werror", library=False)
    board = Scoreboard(tmp_path / "score", [
        line(101, "_"), bytes(192), line(103, "W"), line(104, "\x01"),
        scorefiles.record(line(105, "R"), sequence=9)])
    done = server.command(program, board.path)
    assert (done.returncode, done.stdout) == (0, "0 101 _\n2 103 W\n3 104 ?\n4 105 R\n")
    board.path.write_bytes(board.path.read_bytes()[:9000])
    assert server.command(program, board.path).returncode == 1
    (tmp_path / "other").write_bytes(b"hello")
    assert server.command(program, tmp_path / "other").returncode == 1
    assert server.command(program, tmp_path / "missing").returncode == 1
