// SPDX-License-Identifier: MIT
#include "tools/open_view.h"

#include <cerrno>
#include <unistd.h>

namespace holdfast::tool {

Result<std::unique_ptr<JournalView>> open_view(const std::string& journal) {
  // With "/." a file is not asked whether it can be run: it is no folder.
  if (::eaccess((journal + "/.").c_str(), R_OK | X_OK) != 0 && errno == EACCES) {
    return Status(StatusCode::unavailable, journal + ": no permission to look into it");
  }
  return JournalView::open(journal);
}

}  // namespace holdfast::tool
