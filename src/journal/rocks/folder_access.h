// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "holdfast/status.h"

namespace holdfast::journal {

/// Whether there is a folder that this process may read: what the engine and its environment say of
/// one that it may not is that it is empty, or not there. Of the machine's file system.
Status check_folder_access(const std::string& path);

}  // namespace holdfast::journal
