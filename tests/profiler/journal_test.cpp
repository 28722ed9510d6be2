#include "profiler/journal.hpp"

#include <unistd.h>

#include "graph/error.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

int syncs = 0;

class TemporaryPath {
 public:
  std::filesystem::path path() const { return folder_ / "run.journal"; }

 private:
  TemporaryFolder folder_;
};

const nlohmann::json header = {
    {"schema", "cpubone/journal/2"}, {"fingerprint", "0123"}, {"tasks", {"a", "b"}}};
const std::vector<Sample> first_round{{1, 20.5, 7, false, 0.5}, {0, 10.25, 7, true, 0.625}};
const std::vector<Sample> second_round{{0, 10, 7.5, false, 1.75}};

void write_two_rounds(const std::filesystem::path& path) {
  Journal journal(path, header, false);
  journal.append(first_round, 1.5);
  journal.append(second_round, 2.5);
}

}  // namespace

/// In place of the C library's.
extern "C" int fsync(int) {
  ++syncs;
  return 0;
}

TEST_CASE("what is known outlives a power cut but for a second", "[journal]") {
  const TemporaryPath temporary;
  syncs = 0;
  Journal journal(temporary.path(), header, false);
  CHECK(syncs == 1);
  journal.append(first_round, 0.6);
  CHECK(syncs == 1);
  journal.append(first_round, 1.2);
  CHECK(syncs == 2);
  journal.append(first_round, 2.1);
  CHECK(syncs == 2);
  journal.append(first_round, 2.3);
  CHECK(syncs == 3);
}

TEST_CASE("a journal gives back what was appended", "[journal]") {
  const TemporaryPath temporary;
  write_two_rounds(temporary.path());
  const Journal journal(temporary.path(), header, true);
  CHECK(journal.known() == std::vector<Sample>{first_round[0], first_round[1], second_round[0]});
  CHECK(journal.known_s() == 2.5);
}

TEST_CASE("a journal that goes on counts the seconds of both runs", "[journal]") {
  const TemporaryPath temporary;
  write_two_rounds(temporary.path());
  { Journal(temporary.path(), header, true).append(second_round, 4); }
  const Journal journal(temporary.path(), header, true);
  CHECK(journal.known().size() == 4);
  CHECK(journal.known_s() == 6.5);
}

TEST_CASE("wherever a journal is torn, whole rounds are kept and the run goes on", "[journal]") {
  const TemporaryPath temporary;
  write_two_rounds(temporary.path());
  const std::string whole = read_bytes(temporary.path());
  const std::size_t first_end = whole.find('\n') + 1;
  const std::size_t second_end = whole.find('\n', first_end) + 1;
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    write_bytes(temporary.path(), whole.substr(0, length));
    {
      Journal journal(temporary.path(), header, true);
      const std::size_t expected = length < second_end ? 0 : length < whole.size() ? 2 : 3;
      CHECK(journal.known().size() == expected);
      journal.append(second_round, 1);
    }
    const Journal again(temporary.path(), header, true);
    CHECK(again.known().back().ns == second_round[0].ns);
    CHECK(read_bytes(temporary.path()).substr(0, first_end) == whole.substr(0, first_end));
  }
}

TEST_CASE("without resuming a journal starts anew", "[journal]") {
  const TemporaryPath temporary;
  write_two_rounds(temporary.path());
  const Journal journal(temporary.path(), header, false);
  CHECK(journal.known().empty());
  CHECK(read_bytes(temporary.path()) == header.dump() + "\n");
}

TEST_CASE("resuming without a journal starts one", "[journal]") {
  const TemporaryPath temporary;
  const Journal journal(temporary.path(), header, true);
  CHECK(journal.known().empty());
  CHECK(read_bytes(temporary.path()) == header.dump() + "\n");
}

TEST_CASE("a journal of another run is refused by what differs, and left alone", "[journal]") {
  const TemporaryPath temporary;
  write_two_rounds(temporary.path());
  const std::string before = read_bytes(temporary.path());
  nlohmann::json other = header;
  other["fingerprint"] = "4567";
  CHECK_THROWS_WITH(Journal(temporary.path(), other, true),
                    temporary.path().string() +
                        ":1: the journal is of a run with another \"fingerprint\"; delete it, or "
                        "start without --resume");
  other = header;
  other["tasks"] = {"a", "c"};
  CHECK_THROWS_WITH(Journal(temporary.path(), other, true), ContainsSubstring("another \"tasks\""));
  CHECK(read_bytes(temporary.path()) == before);
}

TEST_CASE("a damaged line is refused with its number", "[journal]") {
  const TemporaryPath temporary;
  const std::string start = header.dump() + "\n";
  const auto error_of = [&](const std::string& line) {
    write_bytes(temporary.path(), start + line + "\n");
    try {
      Journal(temporary.path(), header, true);
    } catch (const Error& e) {
      return std::string(e.what()).substr(temporary.path().string().size());
    }
    return std::string("none");
  };
  CHECK_THAT(error_of("{"), ContainsSubstring(":2: not valid JSON"));
  CHECK(error_of(R"({"seconds": 1, "samples": [[2, 1, 1, false, 0]]})") ==
        ":2#/samples/0/0: expected a whole number in 0..1, got 2");
  CHECK_THAT(
      error_of(R"({"seconds": 1, "samples": [[0, 1, false]]})"),
      ContainsSubstring(":2#/samples/0: expected [task, ns, calibration_ns, interrupted, at_s]"));
  CHECK_THAT(error_of(R"({"seconds": 1, "other": 1})"), ContainsSubstring("other"));
}

TEST_CASE("a journal that cannot be written says so", "[journal]") {
  CHECK_THROWS_WITH(
      Journal("/nonexistent/run.journal", header, false),
      "/nonexistent/run.journal: cannot write the journal: No such file or directory");
}

TEST_CASE("an empty path keeps no journal", "[journal]") {
  Journal journal("", header, true);
  journal.append(first_round, 1);
  CHECK(journal.known().empty());
}
