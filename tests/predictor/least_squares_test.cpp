#include "predictor/least_squares.hpp"

#include "tests/catch.hpp"

using namespace cpubone;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

const VectorXd nothing = VectorXd::Zero(2);

}  // namespace

TEST_CASE("least squares solve what has an exact solution", "[predictor]") {
  MatrixXd a(3, 2);
  a << 1, 0, 0, 1, 1, 1;
  const VectorXd b = a * VectorXd{{2.0, 3.0}};
  const VectorXd w = non_negative_least_squares(a, b, nothing, nothing);
  CHECK(w(0) == Approx(2));
  CHECK(w(1) == Approx(3));
}

TEST_CASE("a weight that would be negative is zero, and the others are refitted", "[predictor]") {
  // Unconstrained: w = (2, -1). With w1 = 0: w0 = (1 + 3) / 2.
  MatrixXd a(2, 2);
  a << 1, 1, 1, -1;
  const VectorXd b{{1.0, 3.0}};
  const VectorXd w = non_negative_least_squares(a, b, nothing, nothing);
  CHECK(w(0) == Approx(2));
  CHECK(w(1) == 0);
}

TEST_CASE("a ridge pulls towards the prior", "[predictor]") {
  // (1 * 4 + 3 * 8) / (1 + 3)
  const VectorXd w = non_negative_least_squares(MatrixXd::Ones(1, 1), VectorXd::Constant(1, 4),
                                                VectorXd::Constant(1, 3), VectorXd::Constant(1, 8));
  CHECK(w(0) == Approx(7));
}

TEST_CASE("a column of zeros keeps the prior", "[predictor]") {
  MatrixXd a(2, 2);
  a << 1, 0, 1, 0;
  const VectorXd w =
      non_negative_least_squares(a, VectorXd::Constant(2, 5), nothing, VectorXd{{0.0, 9.0}});
  CHECK(w(0) == Approx(5));
  CHECK(w(1) == 9);
}

TEST_CASE("least squares refuse sizes that differ", "[predictor]") {
  CHECK_THROWS_WITH(
      non_negative_least_squares(MatrixXd::Ones(3, 2), VectorXd::Ones(2), nothing, nothing),
      "least squares: 3 x 2 matrix with 2 targets, 2 ridges and 2 priors");
}
