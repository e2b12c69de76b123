// key_queues_test.cc: order of parked commands that share keys.
//
// Thread: main.
#include "dispatch/key_queues.h"

#include <gtest/gtest.h>

namespace flash::dispatch {
namespace {

struct Command {
  int number = 0;
  KeyQueues<Command>::Places places;
};

TEST(KeyQueues, WhoeverCameFirstGoesFirst) {
  KeyQueues<Command> queues;
  Command first{1, {}};
  Command second{2, {}};
  queues.Enter(&first, 0, "key", &first.places);
  queues.Enter(&second, 0, "key", &second.places);
  EXPECT_TRUE(queues.IsFirst(&first, first.places));
  EXPECT_FALSE(queues.IsFirst(&second, second.places));
  const auto next = queues.Leave(&first, &first.places);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0], &second);
  EXPECT_TRUE(queues.IsFirst(&second, second.places));
  EXPECT_TRUE(queues.Leave(&second, &second.places).empty());
  EXPECT_EQ(queues.size(), 0U);
}

TEST(KeyQueues, DatabasesDoNotShareQueues) {
  KeyQueues<Command> queues;
  Command first{1, {}};
  Command second{2, {}};
  queues.Enter(&first, 0, "key", &first.places);
  queues.Enter(&second, 1, "key", &second.places);
  EXPECT_TRUE(queues.IsFirst(&second, second.places));
  static_cast<void>(queues.Leave(&first, &first.places));
  static_cast<void>(queues.Leave(&second, &second.places));
}

TEST(KeyQueues, AKeyNamedTwiceIsOnePlace) {
  KeyQueues<Command> queues;
  Command command{1, {}};
  queues.Enter(&command, 0, "key", &command.places);
  queues.Enter(&command, 0, "key", &command.places);
  EXPECT_EQ(command.places.size(), 1U);
  EXPECT_TRUE(queues.Leave(&command, &command.places).empty());
}

TEST(KeyQueues, ACommandWaitsForAllItsKeys) {
  KeyQueues<Command> queues;
  Command a{1, {}};
  Command b{2, {}};
  Command both{3, {}};
  queues.Enter(&a, 0, "a", &a.places);
  queues.Enter(&b, 0, "b", &b.places);
  queues.Enter(&both, 0, "a", &both.places);
  queues.Enter(&both, 0, "b", &both.places);
  static_cast<void>(queues.Leave(&a, &a.places));
  EXPECT_FALSE(queues.IsFirst(&both, both.places));
  static_cast<void>(queues.Leave(&b, &b.places));
  EXPECT_TRUE(queues.IsFirst(&both, both.places));
  static_cast<void>(queues.Leave(&both, &both.places));
}

TEST(KeyQueues, LeavingFromTheMiddleMakesNobodyFirst) {
  KeyQueues<Command> queues;
  Command first{1, {}};
  Command middle{2, {}};
  Command last{3, {}};
  for (Command* command : {&first, &middle, &last}) {
    queues.Enter(command, 0, "key", &command->places);
  }
  EXPECT_TRUE(queues.Leave(&middle, &middle.places).empty());
  const auto next = queues.Leave(&first, &first.places);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0], &last);
  static_cast<void>(queues.Leave(&last, &last.places));
}

}  // namespace
}  // namespace flash::dispatch
