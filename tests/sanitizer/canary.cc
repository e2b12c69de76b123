// canary.cc: a module that writes past the end of heap memory as soon as it is loaded.
//
// A server that loads it must end with the sanitizer's report. scripts/sanitized_server checks that
// before the integration tests run, so that a run-time that is not at work there cannot pass for
// a clean run. It knows nothing of the module API. Thread: main thread.
#include <cstdlib>

// UBSan would see the size of the object first; it is the run-time's malloc() that is in question.
extern "C" __attribute__((visibility("default"), no_sanitize("undefined"))) int ValkeyModule_OnLoad(
    void* /*ctx*/, void** /*argv*/, int argc) {
  auto* bytes = static_cast<volatile char*>(std::malloc(16));
  bytes[16 + argc] = 1;
  std::free(const_cast<char*>(bytes));
  return 0;
}
