// SPDX-License-Identifier: MIT
#pragma once

// One life of the driver, from opening the journal to its end.

#include "holdfast/torture.h"
#include "torture/kill/book.h"
#include "torture/kill/load.h"

namespace holdfast::torture {

/// Opens the journal in the child's folder and tells what is there that `book` does not know. Then
/// it publishes and handles: for ever, or for a while and closes the bus, or, in a quiet round,
/// works off what is left and tells what came of it.
void live(Child& child, const Book& book, const Profile& profile);

}  // namespace holdfast::torture
