// log_format_test.cc: superblock, segment header and piece: golden bytes, and what must not hold.
// Golden bytes: tests/golden/log_v1.hex (docs/format/log.md); a difference means a new version.
// Thread: the test's.
#include "log/log_format.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace flash::log {
namespace {

constexpr uint32_t kSegmentBytes = 64 * kKiB;

LogId Id(uint8_t first) {
  LogId id;
  for (size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::byte>(first + i);
  return id;
}

LogSuperblock ASuperblock() {
  return {.segment_bytes = kSegmentBytes,
          .counter = 7,
          .generation = 3,
          .state = FileState::kClosed,
          .durable = 0x28010,
          .last_lsn = 99,
          .current = {.id = Id(1),
                      .first_number = 2,
                      .first_slot = 5,
                      .cut_lsn = 42,
                      .generation = 3,
                      .tail = 0x20000},
          .previous = {.id = Id(0x81),
                       .first_number = 1,
                       .first_slot = 0,
                       .cut_lsn = 40,
                       .generation = 2,
                       .tail = 0x10000}};
}

SegmentHeader AHeader() {
  return {.origin = {.id = Id(1), .generation = 3},
          .number = 2,
          .next_slot = 6,
          .within_frame = true,
          .first_lsn = 43,
          .previous_end = 0x1ff00,
          .durable = 0x1f000};
}

constexpr uint64_t kPosition = 2 * kSegmentBytes + 4096;

/// A whole frame of one effect, 5 bytes.
std::vector<std::byte> APiece() {
  const PieceHeader header = {
      .lsn = 43, .durable = 0x1ff00, .bytes = 6, .effects = 1, .number = 0, .last = true};
  std::vector<std::byte> piece(header.piece_bytes(), std::byte{0xff});
  const char payload[] = "\x05hello";
  std::memcpy(&piece[kPieceHeaderBytes], payload, 6);
  SealPiece(header, AHeader().origin, kPosition, piece.data());
  return piece;
}

/// The first 512 bytes of the superblock, the segment header, the piece.
std::vector<std::byte> Ours() {
  const Page page = EncodeLogSuperblock(ASuperblock());
  std::vector<std::byte> all(page.begin(), page.begin() + 512);
  std::array<std::byte, kSegmentHeaderBytes> header;
  EncodeSegmentHeader(AHeader(), kSegmentBytes, header.data());
  all.insert(all.end(), header.begin(), header.end());
  const auto piece = APiece();
  all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

std::vector<std::byte> Golden() {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "tests/golden/log_v1.hex");
  EXPECT_TRUE(file) << "tests/golden/log_v1.hex";
  std::vector<std::byte> bytes;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    for (size_t i = 0; i + 1 < line.size(); i += 2) {
      bytes.push_back(static_cast<std::byte>(std::stoul(line.substr(i, 2), nullptr, 16)));
    }
  }
  return bytes;
}

TEST(LogFormat, EncodesTheGoldenBytes) {
  const auto ours = Ours();
  std::string hex;
  for (const std::byte byte : ours) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", std::to_integer<unsigned>(byte));
    hex += two;
  }
  EXPECT_EQ(ours, Golden()) << hex;
}

TEST(LogFormat, DecodesTheGoldenBytes) {
  auto golden = Golden();
  ASSERT_EQ(golden.size(), 512U + kSegmentHeaderBytes + 48U);
  Page page{};
  std::copy_n(golden.begin(), 512, page.begin());
  const auto found = DecodeLogSuperblock(page);
  ASSERT_EQ(found.kind, BlockKind::kOurs);
  const LogSuperblock& block = found.superblock;
  EXPECT_EQ(block.counter, 7U);
  EXPECT_EQ(block.generation, 3U);
  EXPECT_EQ(block.state, FileState::kClosed);
  EXPECT_EQ(block.durable, 0x28010U);
  EXPECT_EQ(block.last_lsn, 99U);
  EXPECT_EQ(block.current.id, Id(1));
  EXPECT_EQ(block.current.first_number, 2U);
  EXPECT_EQ(block.current.first_slot, 5U);
  EXPECT_EQ(block.current.cut_lsn, 42U);
  EXPECT_EQ(block.current.generation, 3U);
  EXPECT_EQ(block.current.tail, 0x20000U);
  EXPECT_EQ(block.previous.id, Id(0x81));
  const Bytes rest = Bytes(golden).subspan(512);
  const auto header = DecodeSegmentHeader(rest, Id(1), 2, kSegmentBytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->next_slot, 6U);
  EXPECT_TRUE(header->within_frame);
  EXPECT_EQ(header->first_lsn, 43U);
  EXPECT_EQ(header->previous_end, 0x1ff00U);
  EXPECT_EQ(header->durable, 0x1f000U);
  const Bytes piece = rest.subspan(kSegmentHeaderBytes);
  const auto peeked = PeekPiece(piece, kPosition);
  ASSERT_TRUE(peeked);
  EXPECT_TRUE(PieceHolds(piece, *peeked, {.id = Id(1), .generation = 3}, kPosition));
  EXPECT_EQ(peeked->lsn, 43U);
  EXPECT_EQ(peeked->effects, 1U);
  EXPECT_EQ(base::AsText(piece.subspan(kPieceHeaderBytes, 6)), "\x05hello");
}

TEST(LogFormat, APieceHoldsOnlyWhereItBelongs) {
  const auto piece = APiece();
  const auto header = PeekPiece(piece, kPosition);
  ASSERT_TRUE(header);
  const Origin right = {.id = Id(1), .generation = 3};
  EXPECT_TRUE(PieceHolds(piece, *header, right, kPosition));
  EXPECT_FALSE(PieceHolds(piece, *header, right, kPosition + 8));
  EXPECT_FALSE(PieceHolds(piece, *header, {.id = Id(1), .generation = 4}, kPosition));
  EXPECT_FALSE(PieceHolds(piece, *header, {.id = Id(2), .generation = 3}, kPosition));
  EXPECT_FALSE(PieceHolds(Bytes(piece).first(40), *header, right, kPosition));
}

TEST(LogFormat, NoBitOfAPieceMayChange) {
  const auto piece = APiece();
  for (size_t bit = 0; bit < piece.size() * 8; ++bit) {
    auto flipped = piece;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto header = PeekPiece(flipped, kPosition);
    EXPECT_FALSE(header && PieceHolds(flipped, *header, AHeader().origin, kPosition)) << bit;
  }
}

TEST(LogFormat, NoBitOfASegmentHeaderMayChange) {
  std::array<std::byte, kSegmentHeaderBytes> bytes;
  EncodeSegmentHeader(AHeader(), kSegmentBytes, bytes.data());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(DecodeSegmentHeader(flipped, Id(1), 2, kSegmentBytes)) << bit;
  }
}

TEST(LogFormat, ASuperblockIsJudgedByMagicVersionAndSum) {
  Page page = EncodeLogSuperblock(ASuperblock());
  EXPECT_EQ(DecodeLogSuperblock(page).kind, BlockKind::kOurs);
  EXPECT_EQ(DecodeLogSuperblock(Bytes(page).first(512)).kind, BlockKind::kForeign);
  EXPECT_EQ(DecodeLogSuperblock(Page{}).kind, BlockKind::kEmpty);
  Page newer = page;
  newer[8] = std::byte{2};
  EXPECT_EQ(DecodeLogSuperblock(newer).kind, BlockKind::kNewer);
  EXPECT_EQ(DecodeLogSuperblock(newer).version, 2U);
  Page damaged = page;
  damaged[40] ^= std::byte{1};
  EXPECT_EQ(DecodeLogSuperblock(damaged).kind, BlockKind::kDamaged);
  page[0] = std::byte{'X'};
  EXPECT_EQ(DecodeLogSuperblock(page).kind, BlockKind::kForeign);
}

}  // namespace
}  // namespace flash::log
