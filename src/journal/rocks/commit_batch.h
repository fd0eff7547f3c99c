// SPDX-License-Identifier: MIT
#pragma once

#include <rocksdb/write_batch.h>

#include "holdfast/status.h"
#include "model/commit.h"

namespace holdfast::journal {

/// Whether `commit` can be stored as it is: what would have to be refused before anything is
/// written.
[[nodiscard]] Status check_storable(const model::Commit& commit);

/// Adds all of `commit` to `batch`, in order, its own record first. It must be storable.
void encode_commit(const model::Commit& commit, rocksdb::WriteBatch& batch);

/// The same for the commit of an open that skips numbers; `before` is the one that it goes on from.
void encode_resuming_commit(const model::Commit& commit, const model::Commit& before,
                            rocksdb::WriteBatch& batch);

}  // namespace holdfast::journal
