#include "storage/snapshot_file.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/text.h"

namespace raftd::storage {
namespace {

using Number = unsigned long long;

constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kMetaBytesMax = sizeof(format::SnapshotMetaHeader) +
                                      limits::kConfigurationBytesMax + limits::kMachineNameBytesMax;

template <class T>
ByteView raw(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

void append(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::uint32_t head_crc(format::SnapshotHeader header, ByteView meta) {
  header.header_crc32c = 0;
  return crc32c(meta, crc32c(raw(header)));
}

std::uint64_t file_bytes_of(const format::SnapshotHeader& header) {
  const std::uint64_t chunks = (header.body_bytes + header.chunk_bytes - 1) / header.chunk_bytes;
  return sizeof header + header.meta_bytes + header.body_bytes + chunks * kCrcBytes +
         sizeof(format::SnapshotTrailer);
}

Error corrupt(std::string message) {
  return {Errc::kCorrupt, std::move(message)};
}

}  // namespace

SnapshotFileWriter::SnapshotFileWriter(SnapshotCut cut, std::size_t chunk_bytes)
    : cut_(std::move(cut)),
      configuration_(raft::encode(cut_.configuration.configuration)),
      head_bytes_(sizeof(format::SnapshotHeader) + sizeof(format::SnapshotMetaHeader) +
                  configuration_.size() + cut_.machine_name.size()),
      chunk_bytes_(chunk_bytes),
      file_bytes_(head_bytes_) {
  ASSERT_CMP(cut_.machine_name.size(), <=, limits::kMachineNameBytesMax);
  ASSERT_CMP(chunk_bytes_, >, 0U);
  ASSERT_CMP(chunk_bytes_, <=, limits::kSnapshotChunkBytesMax);
}

void SnapshotFileWriter::end_chunk(Bytes& out) {
  const std::uint32_t crc = crc32c(chunk_);
  append(out, chunk_);
  append_le(out, crc);
  digest_ = crc32c(raw(crc), digest_);
  body_bytes_ += chunk_.size();
  file_bytes_ += chunk_.size() + kCrcBytes;
  chunk_.clear();
}

void SnapshotFileWriter::add(ByteView body, Bytes& out) {
  ASSERT(!finished_);
  while (!body.empty()) {
    const std::size_t fits = std::min(body.size(), chunk_bytes_ - chunk_.size());
    append(chunk_, body.first(fits));
    body = body.subspan(fits);
    if (chunk_.size() == chunk_bytes_) end_chunk(out);
  }
}

void SnapshotFileWriter::finish(Bytes& out) {
  ASSERT(!finished_);
  finished_ = true;
  if (!chunk_.empty()) end_chunk(out);
  append_le(out, digest_);
  append_le(out, ~digest_);
  file_bytes_ += sizeof(format::SnapshotTrailer);
}

Bytes SnapshotFileWriter::head() const {
  ASSERT(finished_);
  return head(body_bytes_);
}

Bytes SnapshotFileWriter::head(std::uint64_t body_bytes) const {
  Bytes meta;
  append_le(meta, cut_.configuration.index.value);
  append_le(meta, cut_.cluster_time_ms);
  append_le(meta, static_cast<std::uint32_t>(configuration_.size()));
  append_le(meta, static_cast<std::uint32_t>(cut_.machine_name.size()));
  append(meta, configuration_);
  append(meta, as_bytes(cut_.machine_name));
  format::SnapshotHeader header{};
  header.magic = format::kSnapshotMagic;
  header.version = format::kVersion;
  std::copy(cut_.cluster_id.begin(), cut_.cluster_id.end(), header.cluster_id);
  header.last_index = cut_.last_index.value;
  header.last_term = cut_.last_term.value;
  header.body_bytes = body_bytes;
  header.meta_bytes = static_cast<std::uint32_t>(meta.size());
  header.chunk_bytes = static_cast<std::uint32_t>(chunk_bytes_);
  header.header_crc32c = head_crc(header, meta);
  if (finished_) ASSERT_CMP(file_bytes_of(header), ==, file_bytes_);
  Bytes head;
  append(head, raw(header));
  append(head, meta);
  ASSERT_CMP(head.size(), ==, head_bytes_);
  return head;
}

raft::SnapshotMeta SnapshotFileWriter::meta() const {
  ASSERT(finished_);
  return {{cut_.last_index, cut_.last_term, file_bytes_, digest_}, cut_.configuration};
}

Status SnapshotFileReader::feed(ByteView bytes) {
  while (!bytes.empty()) {
    if (part_ == Part::kEnd) {
      return corrupt(strf("offset %llu: bytes after the end", Number{offset_}));
    }
    // Whole parts are read where they are; only what is cut is copied.
    const std::size_t part = wanted();
    if (rest_.empty() && bytes.size() >= part) {
      TRY([[maybe_unused]] const Done done, take(bytes.first(part)));
      bytes = bytes.subspan(part);
      continue;
    }
    const std::size_t fits = std::min(bytes.size(), part - rest_.size());
    append(rest_, bytes.first(fits));
    bytes = bytes.subspan(fits);
    if (rest_.size() < part) return Done{};
    const Bytes whole = std::exchange(rest_, {});
    TRY([[maybe_unused]] const Done done, take(whole));
  }
  return Done{};
}

Status SnapshotFileReader::finish() const {
  if (part_ == Part::kEnd) return Done{};
  return corrupt(strf("it ends at offset %llu, expected %s", Number{offset_ + rest_.size()},
                      part_ == Part::kHeader || part_ == Part::kMeta
                          ? "a header"
                          : strf("%llu bytes", Number{file_bytes_of(header_)}).c_str()));
}

raft::SnapshotMeta SnapshotFileReader::meta() const {
  ASSERT(part_ == Part::kEnd);
  return {{cut_->last_index, cut_->last_term, file_bytes_of(header_), digest_},
          cut_->configuration};
}

std::size_t SnapshotFileReader::next_chunk_bytes() const {
  return static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, header_.chunk_bytes));
}

std::size_t SnapshotFileReader::wanted() const {
  switch (part_) {
    case Part::kHeader:
      return sizeof header_;
    case Part::kMeta:
      return header_.meta_bytes;
    case Part::kChunk:
      return next_chunk_bytes() + kCrcBytes;
    case Part::kTrailer:
      return sizeof(format::SnapshotTrailer);
    case Part::kEnd:
      break;
  }
  PANIC("nothing is wanted after the end");
}

Status SnapshotFileReader::take(ByteView part) {
  Status status = Done{};
  switch (part_) {
    case Part::kHeader:
      status = take_header(part);
      break;
    case Part::kMeta:
      status = take_meta(part);
      break;
    case Part::kChunk:
      status = take_chunk(part);
      break;
    case Part::kTrailer:
      status = take_trailer(part);
      break;
    case Part::kEnd:
      PANIC("nothing is taken after the end");
  }
  offset_ += part.size();
  return status;
}

Status SnapshotFileReader::take_header(ByteView part) {
  header_ = load_le<format::SnapshotHeader>(part);
  if (header_.magic != format::kSnapshotMagic) {
    return corrupt(strf("offset 0: the magic is %016llx, expected %016llx", Number{header_.magic},
                        Number{format::kSnapshotMagic}));
  }
  if (header_.version != format::kVersion) {
    return Error{Errc::kUnsupported, strf("format version is %u, this raftd reads version %u",
                                          header_.version, format::kVersion)};
  }
  if (header_.meta_bytes < sizeof(format::SnapshotMetaHeader) ||
      header_.meta_bytes > kMetaBytesMax || header_.chunk_bytes == 0 ||
      header_.chunk_bytes > limits::kSnapshotChunkBytesMax) {
    return corrupt(strf("offset 0: a header with %u bytes of meta and chunks of %u bytes",
                        header_.meta_bytes, header_.chunk_bytes));
  }
  part_ = Part::kMeta;
  return Done{};
}

Status SnapshotFileReader::take_meta(ByteView part) {
  const std::uint32_t crc = head_crc(header_, part);
  if (crc != header_.header_crc32c) {
    return corrupt(
        strf("offset 0: the header's crc is %08x, expected %08x", header_.header_crc32c, crc));
  }
  const auto meta = load_le<format::SnapshotMetaHeader>(part);
  const ByteView texts = part.subspan(sizeof meta);
  const bool fits =
      std::uint64_t{meta.configuration_bytes} + meta.machine_name_bytes == texts.size();
  if (!fits) return corrupt("offset 64: the sizes in the meta do not add up");
  Result<raft::Configuration> configuration =
      raft::decode_configuration(texts.first(meta.configuration_bytes));
  if (!configuration) {
    return corrupt("offset 64: the configuration: " + configuration.error().message);
  }
  cut_.emplace();
  std::copy(std::begin(header_.cluster_id), std::end(header_.cluster_id), cut_->cluster_id.begin());
  cut_->last_index = {header_.last_index};
  cut_->last_term = {header_.last_term};
  cut_->configuration = {{meta.configuration_index}, *std::move(configuration)};
  cut_->cluster_time_ms = meta.cluster_time_ms;
  cut_->machine_name = as_text(texts.subspan(meta.configuration_bytes));
  body_left_ = header_.body_bytes;
  part_ = body_left_ == 0 ? Part::kTrailer : Part::kChunk;
  return Done{};
}

Status SnapshotFileReader::take_chunk(ByteView part) {
  const ByteView chunk = part.first(part.size() - kCrcBytes);
  const auto found = load_le<std::uint32_t>(part, chunk.size());
  const std::uint32_t crc = crc32c(chunk);
  if (found != crc) {
    return corrupt(
        strf("chunk at offset %llu: crc is %08x, expected %08x", Number{offset_}, found, crc));
  }
  digest_ = crc32c(raw(found), digest_);
  body_left_ -= chunk.size();
  if (body_left_ == 0) part_ = Part::kTrailer;
  return sink_(chunk);
}

Status SnapshotFileReader::take_trailer(ByteView part) {
  const auto trailer = load_le<format::SnapshotTrailer>(part);
  if (trailer.digest != digest_ || trailer.digest_inverted != ~digest_) {
    return corrupt(strf("offset %llu: the digest is %08x, expected %08x", Number{offset_},
                        trailer.digest, digest_));
  }
  part_ = Part::kEnd;
  return Done{};
}

Result<raft::SnapshotMeta> read_snapshot(DirectoryReader& directory, const FileName& name,
                                         SnapshotFileReader& reader) {
  const auto in_file = [&](const Error& error) {
    return Error{error.code, name + ": " + error.message};
  };
  TRY(const std::uint64_t size, directory.size(name));
  for (std::uint64_t offset = 0; offset < size;) {
    TRY(const Bytes bytes, directory.read(name, offset, limits::kReadAheadBlockBytes));
    if (bytes.empty()) break;
    const Status fed = reader.feed(bytes);
    if (!fed) return in_file(fed.error());
    offset += bytes.size();
  }
  const Status whole = reader.finish();
  if (!whole) return in_file(whole.error());
  return reader.meta();
}

}  // namespace raftd::storage
