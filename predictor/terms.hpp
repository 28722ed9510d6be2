#pragma once

namespace cpubone {

/// What operators add to the latency of a network, so that a network's terms are the sum over its
/// executed operators (`lowered`), and a search can add up cached terms of blocks.
struct LatencyTerms {
  double ops_ns = 0;           ///< sum of the operators' predicted latencies
  double independent_ns2 = 0;  ///< sum of the squares of their own spreads (one standard deviation)
  double shared_ns = 0;        ///< sum of spreads that operators of a class share
  double nodes = 0;            ///< executed operators
  double macs = 0;
  double weight_bytes = 0;
  double activation_bytes = 0;  ///< read and written

  /// Adds operators that are there so many times.
  void add(const LatencyTerms& other, double times) {
    ops_ns += times * other.ops_ns;
    independent_ns2 += times * other.independent_ns2;
    shared_ns += times * other.shared_ns;
    nodes += times * other.nodes;
    macs += times * other.macs;
    weight_bytes += times * other.weight_bytes;
    activation_bytes += times * other.activation_bytes;
  }
  LatencyTerms& operator+=(const LatencyTerms& other) {
    add(other, 1);
    return *this;
  }
  bool operator==(const LatencyTerms&) const = default;
};

/// Latency of a network with the interval that holds it with 90 % probability, in milliseconds.
struct LatencyEstimate {
  double ms = 0;
  double low_ms = 0;
  double high_ms = 0;
};

}  // namespace cpubone
