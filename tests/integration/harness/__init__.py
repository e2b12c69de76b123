"""What the integration tests, the demo and the measurements share: the wire, values, probers."""
