// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "holdfast/view.h"

namespace holdfast::tool {

/// `JournalView::open`, but a folder that this user may not look into is `unavailable`, where the
/// view can only say that it sees no journal there.
[[nodiscard]] Result<std::unique_ptr<JournalView>> open_view(const std::string& journal);

}  // namespace holdfast::tool
