#pragma once
#include <atomic>
#include <future>

#include "explorer/workflow.hpp"
#include "python/src/bindings.hpp"

/// Long work of the explorer, from Python.
namespace cpubone::python {

/// Tells `progress`, a callable or None, and hears of `cancel`.
inline WorkHooks hooks_of(const py::object& progress, Interruption& interruption,
                          const std::atomic<bool>& cancel) {
  WorkHooks hooks;
  hooks.cancel = &cancel;
  if (!progress.is_none())
    hooks.progress = [&](std::string_view activity, double fraction, const std::string& detail) {
      interruption.guarded(
          [&] { progress(fraction, detail.empty() ? std::string(activity) : detail); });
    };
  return hooks;
}

/// What `work` returns, which runs on another thread; this one looks for Ctrl-C, which cancels it,
/// and raises what interrupted it.
template <typename Work>
auto interruptible(Interruption& interruption, std::atomic<bool>& cancel, Work work) {
  try {
    auto done = [&] {
      const py::gil_scoped_release release;
      auto future = std::async(std::launch::async, work);
      while (future.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
        if (interruption.requested()) cancel = true;
      return future.get();
    }();
    interruption.rethrow();
    return done;
  } catch (...) {
    interruption.rethrow();  // what was cancelled may fail for that
    throw;
  }
}

}  // namespace cpubone::python
