// list_work.h: searching and thinning out lists of any size: long work (dispatch/long_work.h).
//
// Know no command's arguments or replies. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <optional>
#include <string>

#include "dispatch/keys.h"
#include "dispatch/long_work.h"
#include "values/element_walk.h"
#include "values/list_removal.h"

namespace flash::commands {

/// Searches the first element equal to one.
class FindWork final : public dispatch::LongWork {
 public:
  FindWork(const values::ListValue& list, Bytes element);

  [[nodiscard]] Progress Step(uint64_t deadline_us, values::Missing* missing) override;

  [[nodiscard]] bool IsOf(const values::ListValue& list) const {
    return list.IsStill(frozen_.word());
  }
  [[nodiscard]] std::optional<uint64_t> position() const { return position_; }

 private:
  dispatch::Clone frozen_;
  std::string element_;
  values::ElementWalk walk_;
  uint64_t next_ = 0;
  std::optional<uint64_t> position_;
};

/// Makes a draft of the list without elements equal to one.
class RemoveWork final : public dispatch::LongWork {
 public:
  RemoveWork(const values::ListValue& list, Bytes element, values::ListValue::End from,
             uint64_t limit);

  [[nodiscard]] Progress Step(uint64_t deadline_us, values::Missing* missing) override;
  [[nodiscard]] uint64_t room_bytes() const override { return dispatch::PortionBytes(); }

  [[nodiscard]] bool IsOf(const values::ListValue& list) const {
    return list.IsStill(frozen_.word());
  }
  [[nodiscard]] uint64_t removed() const { return removal_.removed(); }
  [[nodiscard]] uint64_t TakeDraft() { return draft_.Take(); }

 private:
  dispatch::Clone frozen_;
  dispatch::Clone draft_;
  values::ListRemoval removal_;
};

}  // namespace flash::commands
