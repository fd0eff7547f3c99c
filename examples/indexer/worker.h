// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>

namespace indexer {

struct WorkOptions {
  std::string journal;
  std::string root;  ///< Absolute.
  std::chrono::microseconds hold{};
};

/// The host, and all that a real program would consist of: opens the journal, starts both parts,
/// and ends when everything is indexed. It may be killed at any moment and simply be started again;
/// there is no code in it for that. Returns the exit status.
///
/// Says how it stands on standard output, one line at a time, for whoever started it:
///
///     open RECOVERED RUNNING   recovered: that many events are still to be handled, and so many of
///                              them were with a handler when the last process ended
///     progress DONE LEFT       files hashed or dead, and files found and not yet either
///     done                     everything is indexed, durably, and the journal closed
int work(const WorkOptions& options);

}  // namespace indexer
