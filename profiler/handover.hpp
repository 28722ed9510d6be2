#pragma once
#include <optional>

#include "profiler/sampler.hpp"
#include "records/profile.hpp"

namespace cpubone {

class ThreadPool;

/// Hands a cache line from thread to thread and back, among the operators. Virtual CPUs, whose
/// cores change, are near to each other at one time and far at another: what a thread reads of what
/// another wrote, such as the halves of an operator's input, then comes sooner or later. `pool`
/// must have several threads and outlive the task.
Task handover_task(const ThreadPool& pool);

/// What a thread waits for a line that another just wrote, by the task's timing.
double handover_ns(double task_ns);

/// Where that differs twofold within the run: by how much, and the remedy.
std::optional<Warning> changing_cores(const Timing& handover);

}  // namespace cpubone
