// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <holdfast/result.h>
#include <holdfast/types.h>

struct evp_md_ctx_st;

namespace indexer {

/// SHA-256 by OpenSSL, piece by piece.
class Sha256 {
 public:
  Sha256();
  void add(holdfast::Bytes bytes);
  /// The digest in hex. Ends it: nothing may be added afterwards.
  [[nodiscard]] std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

struct HashedFile {
  std::string digest;
  std::uint64_t size = 0;
  std::int64_t changed = 0;  ///< See `change_time`.
};

/// Hashes the content of the file at `path`, or of the one that a link there leads to.
///
/// Fails with `invalid_argument` (it cannot be read, or is no regular file: trying again is of no
/// use), `resource_exhausted` (of memory or descriptors: try again), `cancelled` (a stop was
/// requested).
holdfast::Result<HashedFile> hash_file(const std::string& path, const std::stop_token& stop);

/// When the file behind `path` was changed last, content or owner (ctime, ns); nothing if it cannot
/// be said.
[[nodiscard]] std::optional<std::int64_t> change_time(const std::string& path);

}  // namespace indexer
