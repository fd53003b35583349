"""Conversations between two parties: labelled frames, in memory or over TLS 1.3."""
