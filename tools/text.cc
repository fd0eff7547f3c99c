// SPDX-License-Identifier: MIT
#include "tools/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <utility>
#include <vector>

namespace holdfast::tool {

namespace {

constexpr std::string_view kEllipsis = "…";
// Nobody mistypes a word as long as this.
constexpr std::size_t kWordBytesMax = 64;

/// C0, DEL and C1 controls, and the marks that turn the direction of writing round: with them a
/// text shows something else than it says.
bool is_harmful(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/// Appends the first character of `text` as it is shown; returns how many bytes of `text` it was.
std::size_t append_shown(std::string_view text, std::string& out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  char32_t code_point = 0;
  const auto length = utf8_length(text, code_point);
  if (length == 1 && text.front() == '\\') {
    out += "\\\\";
    return 1;
  }
  if (length > 0 && !is_harmful(code_point)) {
    out.append(text.substr(0, length));
    return length;
  }
  const auto bytes = std::max<std::size_t>(length, 1);
  for (const char c : text.substr(0, bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    out.append("\\x").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
  }
  return bytes;
}

std::string one_decimal(double value) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 1);
  return {text.data(), end.ptr};
}

std::string two_digits(std::int64_t number) {
  return (number < 10 ? "0" : "") + std::to_string(number);
}

/// Reads exactly `count` digits off the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return number;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

/// ".123" as nanoseconds; 0 when there is no point.
std::optional<std::int64_t> take_fraction(std::string_view& text) {
  if (!take(text, ".")) return 0;
  std::int64_t nanoseconds = 0;
  std::size_t digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (++digits > 9) return std::nullopt;
    nanoseconds = nanoseconds * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 9; ++digits) nanoseconds *= 10;
  return nanoseconds;
}

/// "Z" or "+02:00", in minutes.
std::optional<int> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return 0;
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take(text, ":")) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto changed = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace

std::size_t utf8_length(std::string_view text, char32_t& code_point) noexcept {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) {
    code_point = first;
    return 1;
  }
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  code_point = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0U) != 0x80U) return 0;
    code_point = (code_point << 6U) | (byte & 0x3fU);
  }
  const bool is_overlong = length == 3 ? code_point < 0x800 : length == 4 && code_point < 0x10000;
  const bool is_surrogate = code_point >= 0xd800 && code_point < 0xe000;
  return is_overlong || is_surrogate || code_point > 0x10ffff ? 0 : length;
}

bool is_utf8(std::string_view text) noexcept {
  char32_t code_point = 0;
  while (!text.empty()) {
    const auto length = utf8_length(text, code_point);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string escape(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) text.remove_prefix(append_shown(text, shown));
  return shown;
}

std::string excerpt(std::string_view text, std::size_t columns_max) {
  std::string shown;
  std::size_t columns = 0;
  // Where to cut, should more come than fits beside the ellipsis.
  std::size_t cut = 0;
  while (!text.empty()) {
    std::string next;
    const auto bytes = append_shown(text, next);
    columns += columns_of(next);
    if (columns > columns_max) {
      shown.resize(cut);
      return columns_max == 0 ? std::string() : shown.append(kEllipsis);
    }
    shown += next;
    if (columns < columns_max) cut = shown.size();
    text.remove_prefix(bytes);
  }
  return shown;
}

std::size_t columns_of(std::string_view escaped) noexcept {
  return static_cast<std::size_t>(std::count_if(escaped.begin(), escaped.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

std::string with_thousands(std::uint64_t number) {
  auto text = std::to_string(number);
  for (auto at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {" KiB", " MiB", " GiB",
                                                        " TiB", " PiB", " EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return one_decimal(value) + kUnits[unit];
}

std::string human_duration(std::chrono::nanoseconds duration) {
  const auto milliseconds = std::chrono::round<std::chrono::milliseconds>(duration).count();
  if (milliseconds < 1'000) return std::to_string(milliseconds) + " ms";
  if (milliseconds < 59'950) {
    return one_decimal(static_cast<double>(milliseconds) / 1'000) + " s";
  }
  const auto seconds = std::chrono::round<std::chrono::seconds>(duration).count();
  if (seconds < 3'600) {
    return std::to_string(seconds / 60) + " min " + two_digits(seconds % 60) + " s";
  }
  const auto minutes = seconds / 60;
  if (minutes < 2'880) {  // two days
    return std::to_string(minutes / 60) + " h " + two_digits(minutes % 60) + " min";
  }
  return with_thousands(static_cast<std::uint64_t>(minutes / 1'440)) + " days";
}

std::string plural(std::uint64_t count, std::string_view noun) {
  return with_thousands(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

std::string local_time(WallTime time) {
  auto seconds = static_cast<std::time_t>(time / 1'000'000'000);
  auto nanoseconds = time % 1'000'000'000;
  if (nanoseconds < 0) {
    nanoseconds += 1'000'000'000;
    --seconds;
  }
  std::tm local{};
  std::array<char, 64> text{};
  if (::localtime_r(&seconds, &local) == nullptr) return rfc3339(time);
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  auto milliseconds = std::to_string(1'000 + nanoseconds / 1'000'000);
  return std::string(text.data(), size) + "." + milliseconds.substr(1);
}

std::string rfc3339(WallTime time) {
  using namespace std::chrono;
  const sys_time<nanoseconds> moment{nanoseconds(time)};
  const auto day = floor<days>(moment);
  const year_month_day date(day);
  const hh_mm_ss<nanoseconds> clock(moment - day);
  const auto decimals = std::to_string(1'000'000'000 + clock.subseconds().count());
  return std::to_string(static_cast<int>(date.year())) + "-" +
         two_digits(static_cast<unsigned>(date.month())) + "-" +
         two_digits(static_cast<unsigned>(date.day())) + "T" + two_digits(clock.hours().count()) +
         ":" + two_digits(clock.minutes().count()) + ":" + two_digits(clock.seconds().count()) +
         "." + decimals.substr(1) + "Z";
}

std::optional<WallTime> parse_rfc3339(std::string_view text) noexcept {
  using namespace std::chrono;
  const auto year_read = take_digits(text, 4);
  if (!year_read || *year_read < 1970 || *year_read > 2261 || !take(text, "-")) return std::nullopt;
  const auto month_read = take_digits(text, 2);
  if (!month_read || !take(text, "-")) return std::nullopt;
  const auto day_read = take_digits(text, 2);
  if (!day_read || !take(text, "Tt ")) return std::nullopt;
  const year_month_day date(year(*year_read), month(static_cast<unsigned>(*month_read)),
                            day(static_cast<unsigned>(*day_read)));
  if (!date.ok()) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ":")) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59 || !take(text, ":")) return std::nullopt;
  const auto second = take_digits(text, 2);
  // A leap second is counted as the one after it, as the system's clock does.
  if (!second || *second > 60) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  const auto moment = sys_days(date) + hours(*hour) + minutes(*minute - *offset) + seconds(*second);
  return nanoseconds(moment.time_since_epoch()).count() + *fraction;
}

namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint8_t kNotBase64 = 64;

constexpr std::array<std::uint8_t, 256> kBase64Values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNotBase64);
  for (std::size_t i = 0; i < kBase64.size(); ++i) {
    values[static_cast<unsigned char>(kBase64[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = (group << 8U) | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += i <= count ? kBase64[(group >> (18U - 6U * i)) & 63U] : '=';
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  text.remove_suffix(padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto value = kBase64Values[static_cast<unsigned char>(c)];
    if (value == kNotBase64) return std::nullopt;
    group = (group << 6U) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((group >> bits) & 0xffU);
    }
  }
  // Bits that belong to no byte must be zero, or two texts would mean the same bytes.
  if ((group & ((1U << bits) - 1U)) != 0) return std::nullopt;
  return bytes;
}

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known) {
  std::optional<std::string_view> best;
  // Half of the word may be wrong, and no more than three letters.
  auto best_distance = std::min<std::size_t>(3, (word.size() + 1) / 2) + 1;
  if (word.size() > kWordBytesMax) return best;
  for (const auto each : known) {
    const bool is_beginning = word.size() >= 3 && each.starts_with(word);
    const auto distance = is_beginning ? 1 : edit_distance(word, each);
    if (distance < best_distance) {
      best = each;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const auto meant = nearest(word, known);
  return meant.has_value() ? "; did you mean " + std::string(*meant) + "?" : std::string();
}

}  // namespace holdfast::tool
