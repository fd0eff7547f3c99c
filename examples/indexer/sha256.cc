// SPDX-License-Identifier: MIT
#include "indexer/sha256.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <new>
#include <stdexcept>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <openssl/evp.h>

namespace indexer {

using holdfast::Status;
using holdfast::StatusCode;

namespace {

// Small enough to be asked to stop within a moment, also on a slow disk.
constexpr std::size_t kPieceBytes = std::size_t{256} << 10U;

class Descriptor {
 public:
  // Without O_NONBLOCK, opening a pipe that nobody writes to would hold the worker for ever.
  explicit Descriptor(const std::string& path)
      : number_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

std::int64_t change_time(const struct stat& facts) {
  return std::int64_t{facts.st_ctim.tv_sec} * 1'000'000'000 + facts.st_ctim.tv_nsec;
}

/// `errno` as a status. What the machine lacks now it may have later; anything else stays as it is.
Status failure(const std::string& path) {
  const int error = errno;
  const auto message = std::generic_category().message(error);
  if (error == ENOMEM || error == EMFILE || error == ENFILE) {
    return {StatusCode::resource_exhausted, message};
  }
  struct stat link {};
  const bool dangling = error == ENOENT && lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
  return {StatusCode::invalid_argument, dangling ? "dangling link: " + message : message};
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) throw std::bad_alloc();
  if (EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL has no SHA-256");
  }
}

void Sha256::add(holdfast::Bytes bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("OpenSSL could not hash");
  }
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1) {
    throw std::runtime_error("OpenSSL could not end the hash");
  }
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4U];
    hex += "0123456789abcdef"[digest[i] & 15U];
  }
  return hex;
}

holdfast::Result<HashedFile> hash_file(const std::string& path, const std::stop_token& stop) {
  const Descriptor file(path);
  if (file.number() < 0) return failure(path);
  struct stat facts {};
  if (fstat(file.number(), &facts) != 0) return failure(path);
  if (!S_ISREG(facts.st_mode)) return Status(StatusCode::invalid_argument, "not a regular file");

  Sha256 hash;
  std::vector<std::byte> piece(kPieceBytes);
  std::uint64_t size = 0;
  while (true) {
    if (stop.stop_requested()) return Status(StatusCode::cancelled, "asked to stop");
    const auto got = read(file.number(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path);
    if (got == 0) break;
    hash.add({piece.data(), static_cast<std::size_t>(got)});
    size += static_cast<std::uint64_t>(got);
  }
  return HashedFile{hash.hex(), size, change_time(facts)};
}

std::optional<std::int64_t> change_time(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return std::nullopt;
  return change_time(facts);
}

}  // namespace indexer
