// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include <holdfast/bus.h>

namespace indexer {

/// The second part: hashes every file that the walker has found, four at a time.
///
/// The digest, and a count of how often the file was counted, go into the hasher's state with the
/// ack, in one commit. A handler that dies leaves neither, and the file comes again; one that acked
/// leaves both, and it never does. That is how work that is run at least once has an effect exactly
/// once.
///
/// A link to a file is hashed as the file it leads to. What cannot be read is a dead letter with
/// the reason. Each handler keeps its file for `hold` longer than it needs to: a small tree would
/// be done with before anybody could kill the process.
holdfast::Subscription start_hasher(holdfast::Bus& bus, std::chrono::microseconds hold);

}  // namespace indexer
