#include "python/src/first_exception.hpp"

#include <stdexcept>
#include <thread>

#include "tests/catch.hpp"

using cpubone::python::FirstException;

TEST_CASE("of several exceptions the first is thrown", "[python]") {
  FirstException first;
  first.rethrow();
  CHECK_FALSE(first.is_there());
  first.keep(std::make_exception_ptr(std::runtime_error("one")));
  first.keep(std::make_exception_ptr(std::runtime_error("two")));
  CHECK(first.is_there());
  CHECK_THROWS_WITH(first.rethrow(), "one");
}

TEST_CASE("another thread that sees an exception can throw it", "[python]") {
  FirstException first;
  std::thread other([&] { first.keep(std::make_exception_ptr(std::runtime_error("there"))); });
  while (!first.is_there()) std::this_thread::yield();
  CHECK_THROWS_WITH(first.rethrow(), "there");
  other.join();
}
