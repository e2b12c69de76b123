// reply_log.h: a reply of any size, put together before it is replied.
//
// Made of bulks, doubles and nulls in pieces of memory that the server counts. Replied in order it
// gives up each piece as it goes, so that reply and log are never in RAM twice. Knows no command.
// Thread: main. Decision: docs/adr/0012.
#pragma once

#include <cstdint>
#include <vector>

#include "dispatch/context.h"

namespace flash::dispatch {

class ReplyLog {
 public:
  ReplyLog() = default;
  ReplyLog(ReplyLog&& other) noexcept { *this = std::move(other); }
  ReplyLog& operator=(ReplyLog&& other) noexcept;
  ~ReplyLog();

  /// Where an item lies, for whoever replies out of order.
  struct Place {
    uint32_t piece = 0;
    uint32_t offset = 0;
  };

  Place AddBulk(Bytes bytes);
  /// A bulk whose bytes are still to be filled in; they stay where they are.
  MutableBytes AddBulk(uint64_t bytes, Place* place = nullptr);
  Place AddDouble(double number);
  Place AddNull();
  /// The next two items are an array of their own, for whoever wants it so.
  void AddPair();
  /// Takes back what was added last, a bulk of this place.
  void TakeBack(Place place);
  /// Of a bulk.
  [[nodiscard]] Bytes BulkAt(Place place) const;

  /// What it takes on the wire, about.
  [[nodiscard]] uint64_t reply_bytes() const { return reply_bytes_; }

  /// Replies everything in order, and is empty afterwards.
  void ReplyTo(Context& ctx, bool with_pairs = false);
  /// Replies one item; it stays.
  void ReplyItem(Context& ctx, Place place) const;

 private:
  struct Piece {
    std::byte* memory = nullptr;
    uint64_t used = 0;
    uint64_t size = 0;
  };
  enum class Kind : uint64_t { kBulk, kDouble, kNull, kPair };
  /// Room for an item: its head, and `bytes` behind it.
  std::byte* Add(Kind kind, uint64_t bytes, Place* place);
  /// Replies the item at `item`; returns the bytes it takes.
  static uint64_t Reply(Context& ctx, const std::byte* item, bool with_pairs);

  std::vector<Piece> pieces_;
  uint64_t reply_bytes_ = 0;
};

}  // namespace flash::dispatch
