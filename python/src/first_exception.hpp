#pragma once
#include <atomic>
#include <exception>
#include <utility>

namespace cpubone::python {

/// The first of the exceptions of several threads: one at a time keeps, any looks.
class FirstException {
 public:
  /// Only with the GIL, or what else keeps others from keeping meanwhile.
  void keep(std::exception_ptr exception) {
    if (is_there_) return;
    exception_ = std::move(exception);
    is_there_ = true;
  }
  bool is_there() const { return is_there_; }
  /// Throws it where there is one.
  void rethrow() const {
    if (is_there_) std::rethrow_exception(exception_);
  }

 private:
  std::exception_ptr exception_;
  std::atomic<bool> is_there_ = false;
};

}  // namespace cpubone::python
