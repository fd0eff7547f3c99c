// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace holdfast::bench {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< By rising x; all above zero.
};

/// Lines over two logarithmic axes: what is measured here goes over several powers of ten.
struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;  ///< At most six.
};

/// A picture that needs nothing beside it.
std::string to_svg(const Plot& plot);

}  // namespace holdfast::bench
