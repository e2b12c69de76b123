// cut.h: ends connections from any thread, so that nothing of what was said to them leaves.
//
// For when the server cannot be asked: it executes something, and its clients are not to be freed.
// Knows sockets alone. Thread: any. Decision: docs/adr/0014.
#pragma once

namespace flash::durability {

/// Shuts down every connection that was accepted at a place where this process listens: clients,
/// and replicas, too. Connections of its own to others stay. The server notices soon.
void CutConnections();

}  // namespace flash::durability
