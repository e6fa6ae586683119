"""One call shape over the official SDKs, and one taxonomy of what can go wrong."""
