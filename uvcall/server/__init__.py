"""Inbound adapters: what listens for the carriers."""
