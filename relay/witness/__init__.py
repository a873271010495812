"""Witnessing: what holds each log to one history."""
