// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <holdfast/bus.h>

namespace indexer {

/// The first part: finds the files of a tree and publishes one event for each.
///
/// There is no walk in memory that a crash could end. Each folder is an event of its own, and its
/// handler publishes what is in the folder with its ack, in one commit: either the folder is done
/// with and all its entries are in the journal, or nothing happened and the folder is read again.
/// So every file is published exactly once, however often the process dies.
///
/// A link to a folder is left alone: it would be walked twice, or without end. Everything else that
/// is no folder is published, also what cannot be hashed: the hasher says why. A folder that cannot
/// be read is a dead letter. `left_out` is a folder that is not walked (the journal may lie inside
/// the tree).
holdfast::Subscription start_walker(holdfast::Bus& bus, std::string left_out);

/// Publishes the folder `root` for the walker, once in the life of the journal.
void plant_root(holdfast::Bus& bus, const std::string& root);

}  // namespace indexer
