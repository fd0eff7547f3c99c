// SPDX-License-Identifier: MIT
#include "support/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "support/measure.h"

namespace holdfast::bench {

namespace {

constexpr double kWidth = 760;
constexpr double kHeight = 440;
constexpr double kLeft = 80;
constexpr double kRight = 210;  // the names of the lines are there
constexpr double kTop = 44;
constexpr double kBottom = 56;

// After Okabe and Ito: told apart with any colour vision. Dashes tell them apart without colour.
constexpr std::array kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00"};
constexpr std::array kDashes = {"", "7 3", "2 3", "9 3 2 3", "4 2", "12 4"};

/// Whole powers of ten around all values.
class Axis {
 public:
  void take(double value) {
    const auto power = std::log10(value);
    low_ = std::min(low_, std::floor(power + 1e-9));
    high_ = std::max(high_, std::ceil(power - 1e-9));
  }
  /// From 0 to 1.
  [[nodiscard]] double place(double value) const {
    return (std::log10(value) - low_) / std::max(1.0, high_ - low_);
  }
  [[nodiscard]] int low() const { return static_cast<int>(low_); }
  [[nodiscard]] int high() const { return static_cast<int>(std::max(high_, low_ + 1)); }

 private:
  double low_ = 1e9;
  double high_ = -1e9;
};

std::string tick(int power) {
  std::ostringstream out;
  const auto value = std::pow(10.0, power);
  if (value >= 1e6) {
    out << value / 1e6 << " M";
  } else if (value >= 1e3) {
    out << value / 1e3 << " k";
  } else {
    out << value;
  }
  return out.str();
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    require(plot.series.size() <= kColours.size(), "a plot has no more colours");
    for (const auto& series : plot.series) {
      for (const auto& [x, y] : series.points) {
        x_.take(x);
        y_.take(y);
      }
    }
  }

  std::string draw() {
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << kWidth << " " << kHeight
         << "\" font-family=\"sans-serif\" font-size=\"13\">\n"
         << "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    text(kLeft, 24, "start", plot_.title, "font-weight=\"bold\" font-size=\"15\"");
    grid();
    for (std::size_t i = 0; i < plot_.series.size(); ++i) line(i);
    out_ << "</svg>\n";
    return out_.str();
  }

 private:
  [[nodiscard]] double at_x(double value) const {
    return kLeft + x_.place(value) * (kWidth - kLeft - kRight);
  }
  [[nodiscard]] double at_y(double value) const {
    return kHeight - kBottom - y_.place(value) * (kHeight - kTop - kBottom);
  }
  void text(double x, double y, const std::string& anchor, const std::string& words,
            const std::string& more = "") {
    out_ << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\" " << more
         << ">" << words << "</text>\n";
  }
  void stroke(double x1, double y1, double x2, double y2) {
    out_ << "<path d=\"M" << x1 << " " << y1 << "L" << x2 << " " << y2 << "\" stroke=\"#ccc\"/>\n";
  }

  void grid() {
    const double bottom = kHeight - kBottom;
    for (int power = x_.low(); power <= x_.high(); ++power) {
      const auto x = at_x(std::pow(10.0, power));
      stroke(x, kTop, x, bottom);
      text(x, bottom + 18, "middle", tick(power));
    }
    for (int power = y_.low(); power <= y_.high(); ++power) {
      const auto y = at_y(std::pow(10.0, power));
      stroke(kLeft, y, kWidth - kRight, y);
      text(kLeft - 8, y + 4, "end", tick(power));
    }
    text((kLeft + kWidth - kRight) / 2, kHeight - 14, "middle", plot_.x_label);
    out_ << "<text transform=\"translate(20 " << (kTop + bottom) / 2
         << ") rotate(-90)\" text-anchor=\"middle\">" << plot_.y_label << "</text>\n";
  }

  void line(std::size_t index) {
    const auto& series = plot_.series[index];
    const std::string colour = kColours[index];
    out_ << "<path fill=\"none\" stroke-width=\"2\" stroke=\"" << colour << "\" stroke-dasharray=\""
         << kDashes[index] << "\" d=\"";
    for (const auto& [x, y] : series.points) {
      out_ << (&x == &series.points.front().first ? "M" : "L") << at_x(x) << " " << at_y(y);
    }
    out_ << "\"/>\n";
    for (const auto& [x, y] : series.points) {
      out_ << "<circle r=\"3\" cx=\"" << at_x(x) << "\" cy=\"" << at_y(y) << "\" fill=\"" << colour
           << "\"/>\n";
    }
    const auto y = kTop + 14 + 22 * static_cast<double>(index);
    const auto x = kWidth - kRight + 12;
    out_ << "<path stroke-width=\"2\" stroke=\"" << colour << "\" stroke-dasharray=\""
         << kDashes[index] << "\" d=\"M" << x << " " << y - 4 << "h28\"/>\n";
    text(x + 34, y, "start", series.name);
  }

  const Plot& plot_;
  Axis x_;
  Axis y_;
  std::ostringstream out_;
};

}  // namespace

std::string to_svg(const Plot& plot) { return Drawing(plot).draw(); }

}  // namespace holdfast::bench
