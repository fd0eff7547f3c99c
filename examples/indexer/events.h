// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include <holdfast/event.h>
#include <holdfast/subscription.h>

namespace indexer {

// The durable names. Who renames a subscription starts over: position and state go by its name.
inline constexpr const char* kWalkerName = "walker";
inline constexpr const char* kHasherName = "hasher";
/// The state in which the host notes what this journal is the index of.
inline constexpr const char* kHostState = "indexer";

/// An event that was running when the process was killed has used up an attempt, because it may be
/// what killed it. Here the process is killed for show, again and again, and the files are
/// innocent.
inline constexpr holdfast::RetryPolicy kPatient = {.attempts_max = 100};

// What the two parts of the indexer say to each other. Both kinds carry an absolute path as
// payload: raw bytes, since a file name may hold anything but NUL and the slash.

/// A folder whose entries are to be published. Urgent, so that the whole tree is known early.
inline constexpr std::string_view kFolderType = "tree.folder";
inline constexpr auto kFolderPriority = holdfast::Priority::high;

/// A file whose content is to be hashed.
inline constexpr std::string_view kFileType = "tree.file";
inline constexpr auto kFilePriority = holdfast::Priority::normal;

/// Who publishes both.
inline constexpr auto kWalker = holdfast::Source::plugin("walker");

/// One handler run's share of a folder: the entries whose names come after `after`.
struct FolderPage {
  std::string path;
  std::string after{};  ///< Empty = from the first.

  [[nodiscard]] std::string encode() const { return after.empty() ? path : path + '\0' + after; }
  [[nodiscard]] static FolderPage decode(std::string_view payload) {
    const auto end = payload.find('\0');
    if (end == std::string_view::npos) return {std::string(payload)};
    return {std::string(payload.substr(0, end)), std::string(payload.substr(end + 1))};
  }
};

}  // namespace indexer
