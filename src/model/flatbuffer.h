// SPDX-License-Identifier: MIT
#pragma once

// What the codecs of this room share; not for other rooms, which must not know FlatBuffers.

#include <cstddef>
#include <string_view>

#include <flatbuffers/flatbuffers.h>

#include "holdfast/types.h"

namespace holdfast::model {

/// One per thread, emptied: encoding allocates nothing once its buffer has grown.
inline flatbuffers::FlatBufferBuilder& reused_builder() {
  thread_local flatbuffers::FlatBufferBuilder builder(1024);
  // Not kept for ever after one huge event.
  constexpr std::size_t kKeptBytes = std::size_t{256} << 10U;
  thread_local std::size_t largest = 0;
  largest = std::max<std::size_t>(largest, builder.GetSize());
  if (largest > kKeptBytes) {
    builder.Reset();
    largest = 0;
  } else {
    builder.Clear();
  }
  return builder;
}

inline std::string_view finished(const flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

inline flatbuffers::Offset<flatbuffers::String> put_text(flatbuffers::FlatBufferBuilder& builder,
                                                         std::string_view text) {
  return builder.CreateString(text.data(), text.size());
}

inline flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> put_bytes(
    flatbuffers::FlatBufferBuilder& builder, std::string_view bytes) {
  return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

/// At a multiple of 8, so that what is nested in it can be read in place.
inline flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> put_aligned_bytes(
    flatbuffers::FlatBufferBuilder& builder, Bytes bytes) {
  builder.ForceVectorAlignment(bytes.size(), 1, 8);
  return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

inline std::string_view text_of(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view() : std::string_view(text->c_str(), text->size());
}

inline std::string_view text_of(const flatbuffers::Vector<std::uint8_t>* bytes) {
  return bytes == nullptr
             ? std::string_view()
             : std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

/// Tables of ours are flat, so 16 levels are generous. Most tables has a subscription: its filter
/// and 16 earlier ones, each with 64 pairs of metadata, are 1,122. Both bound a forged record's
/// cost.
inline flatbuffers::Verifier verifier_of(std::string_view bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), 16, 2000};
}

}  // namespace holdfast::model
