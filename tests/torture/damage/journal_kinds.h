// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace holdfast::testing {

/// Ends the program unless the journal in `image` is at least 64 KiB, has tables both fresh and
/// compacted and a log, and every kind of record that the format knows is in them. A kind that is
/// new and not in the journal makes it fail.
void check_kinds(const std::string& image);

}  // namespace holdfast::testing
